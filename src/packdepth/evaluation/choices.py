"""The choices that an evaluation makes, and their descriptions in reports. Importing this module loads no torch."""

from __future__ import annotations

from typing import Literal

GroundTruth = Literal["depth", "lidar", "any"]
Crop = Literal["none", "garg", "cityscapes"]
Resizing = Literal["inverse_depth", "depth", "depth_nearest"]
Projection = Literal["nearest", "monodepth2"]
Median = Literal["lower", "mean"]
Baseline = Literal["none", "pixel_median", "others_median"]

GROUND_TRUTHS: dict[GroundTruth, str] = {
    "depth": "depth maps",
    "lidar": "LiDAR scans",
    "any": "depth maps and, of frames without a depth map, LiDAR scans",
}
CROPS: dict[Crop, str] = {
    "none": "none",
    "garg": "of Garg et al. (ECCV 2016): rows from 0.408 H to 0.992 H, columns from 0.036 W to 0.964 W, rounded down",
    "cityscapes": "of ManyDepth (CVPR 2021): rows from H / 4 to 3 H / 4, columns from 0.094 W to 0.906 W, rounded down",
}
RESIZINGS: dict[Resizing, str] = {
    "inverse_depth": "the network's inverse depth, bilinear, to the size of the ground truth",
    "depth": "the network's depth (not its inverse), bilinear with aligned corners, to the size of the ground truth",
    "depth_nearest": "the network's depth, the nearest value, to the size of the ground truth",
}
PROJECTIONS: dict[Projection, str] = {
    "nearest": "of a scan, the nearest return in each pixel",
    "monodepth2": "of a scan, the nearest return in each pixel, a pixel left and up as in monodepth2's maps",
}
MEDIANS: dict[Median, str] = {
    "lower": "lower medians of the valid pixels",
    "mean": "medians of the valid pixels, of an even number the mean of the middle two",
}
BASELINES: dict[Baseline, str] = {
    "none": "none",
    "pixel_median": "each pixel's median over the ground truth of all images",
    "others_median": (
        "the median of the other images' ground truth at each pixel, or in the smallest window of radius 1, 2, 4, ... "
        "pixels around it that has a value; the per-pixel median over all images is reported as pixel_median, "
        "but of sparse scans it mostly repeats the ground truth that it is compared with"
    ),
}

STANDARD_METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3")
METRICS = (*STANDARD_METRICS, "silog", "too_far")

MIN_DEPTH = 1e-3  # metres; ground truth at or below it is invalid. The value of monodepth2 and packnet-sfm.
CAP = 80.0  # metres; ground truth at or beyond it is invalid. The usual cap on KITTI.
STREET = (0, 10, 20, 30, 40, 50, 60, 70, 80)  # metres, bounds of ranges of distance
