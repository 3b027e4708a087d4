"""The app: drop an image or a video into a page, and see its depth, its points and distances (`packdepth app`)."""
