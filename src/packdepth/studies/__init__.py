"""Experiments that anyone can repeat by `packdepth study`: data, trainings and the tables of docs/results.md."""
