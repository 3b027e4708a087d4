"""A rendered street world with exact ground truth: streets, traffic, an ego drive and everything a dataset measures.

World axes: x ahead, y left, z up. Camera axes: x right, y down, z ahead. Metres, seconds, radians.
"""
