"""A rendered street world with exact ground truth: streets, traffic, and a car with the sensors of a data set.

World axes: x ahead, y left, z up. Camera axes: x right, y down, z ahead. Metres, seconds, radians.
"""
