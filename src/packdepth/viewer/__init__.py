"""The viewer: a clip's images, depth, point cloud and trajectory in the browser (`packdepth view`)."""
