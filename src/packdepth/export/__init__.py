"""Export of the networks of a checkpoint to files that other programs compute: `packdepth export`."""
