"""Other people's checkpoints: read without trusting them, and turned into packdepth's own."""
