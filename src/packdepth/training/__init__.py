"""Training: the Lightning module, the run, what is written on the way."""
