"""Depth and ego-motion against measured truth: metrics, named protocols, baselines, reports."""
