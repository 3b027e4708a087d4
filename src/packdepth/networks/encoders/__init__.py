"""Encoders of images: each file holds one encoder, its block and its layers. To add one, add a file."""
