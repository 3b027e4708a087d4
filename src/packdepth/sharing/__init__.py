"""Sharing of checkpoints: their addresses, what is fetched from there, and `packdepth push` with its model card."""
