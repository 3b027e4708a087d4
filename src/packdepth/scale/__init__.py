"""Measurement of a checkpoint's scale against known lengths, and its calibration."""
