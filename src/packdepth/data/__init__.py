"""Clips to samples."""
