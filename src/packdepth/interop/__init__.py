"""Other projects' checkpoints, read without executing anything and converted to packdepth's own."""
