"""Prediction of depth and ego-motion from a checkpoint and images, and the files that hold it."""
