"""Training samples of clips: reading, augmentation, filters and checks."""
