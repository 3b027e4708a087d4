"""Layers of networks: convolution blocks, encoders, heads."""
