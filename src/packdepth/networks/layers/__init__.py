"""Layers that networks are made of: blocks of convolutions, encoders, heads."""
