"""Optimizers and schedules of the learning rate: each block stands in the file of what it describes."""
