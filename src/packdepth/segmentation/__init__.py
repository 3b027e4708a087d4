"""Segmentation: run file, networks, training, label maps and mIoU."""
