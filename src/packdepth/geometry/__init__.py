"""Geometry of cameras and views, as pure functions of tensors.

A pose is named `T_dst_src` and maps points of src into dst. `packdepth.geometry.se3` holds the rigid motions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packdepth.lazy import lazy_names

if TYPE_CHECKING:
    from packdepth.geometry.align import aligned as aligned
    from packdepth.geometry.camera import Camera as Camera
    from packdepth.geometry.depth import MIN_INV_DEPTH as MIN_INV_DEPTH
    from packdepth.geometry.depth import depth_from_inverse as depth_from_inverse
    from packdepth.geometry.depth import points_from_depth as points_from_depth
    from packdepth.geometry.lidar import depth_map as depth_map
    from packdepth.geometry.resize import resize_image as resize_image
    from packdepth.geometry.resize import resize_inv_depth as resize_inv_depth
    from packdepth.geometry.warp import carry as carry
    from packdepth.geometry.warp import sample as sample
    from packdepth.geometry.warp import synthesize as synthesize

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Camera": "packdepth.geometry.camera",
        "MIN_INV_DEPTH": "packdepth.geometry.depth",
        "aligned": "packdepth.geometry.align",
        "carry": "packdepth.geometry.warp",
        "depth_from_inverse": "packdepth.geometry.depth",
        "depth_map": "packdepth.geometry.lidar",
        "points_from_depth": "packdepth.geometry.depth",
        "resize_image": "packdepth.geometry.resize",
        "resize_inv_depth": "packdepth.geometry.resize",
        "sample": "packdepth.geometry.warp",
        "synthesize": "packdepth.geometry.warp",
    },
)
