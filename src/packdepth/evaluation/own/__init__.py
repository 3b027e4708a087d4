"""Judgement of a network on video without any ground truth: the protocol `own`. Importing this loads no torch."""
