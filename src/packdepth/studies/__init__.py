"""Experiments whose tables stand in docs/results.md, to be repeated by `packdepth study`."""
