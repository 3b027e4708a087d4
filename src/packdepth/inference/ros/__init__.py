"""Depth as messages of ROS, written to recordings or published by a node."""
