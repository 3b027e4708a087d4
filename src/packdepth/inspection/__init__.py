"""Commands that look at data before training: check, import, splits, contact sheets."""
