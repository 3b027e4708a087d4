"""Experiments that anyone can repeat: one command of `packdepth study` renders data, trains, and writes results."""
