"""A ROS 2 node that publishes the depth of a camera's images, predicted by a network of packdepth."""
