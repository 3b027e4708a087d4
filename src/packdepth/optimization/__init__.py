"""Optimizers and schedules of the learning rate. Each block stands in the file of what it describes."""
