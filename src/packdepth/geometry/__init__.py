"""Pure functions of tensors: cameras, rigid motions, view synthesis, LiDAR projection."""
