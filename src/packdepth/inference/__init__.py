"""A checkpoint and images in, depth and ego-motion out, and the files that hold them."""
