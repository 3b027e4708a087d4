"""Calibration files of other projects, recognized by their content: ROS, OpenCV, Kalibr and COLMAP."""
