"""Decoders of an encoder's features to depth: each file holds one, its block and its layers. To add one, add a file."""
