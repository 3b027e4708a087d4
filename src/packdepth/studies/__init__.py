"""Experiments that anyone can repeat: data, trainings and results of each by one command, `packdepth study`."""
