"""Protocols on KITTI: raw drives, odometry, and the stereo pairs of 2015."""

from __future__ import annotations

from dataclasses import replace

from packdepth.evaluation.protocol import Protocol

ODOMETRY_CLIP = Protocol(
    name="kitti-odometry-clip",
    about=(
        "KITTI odometry, sequence 06, frames 0 to 50 of the left gray camera, against depth_0 "
        "(semi-global matching of the stereo pair)"
    ),
    source={"kind": "kitti_odometry", "root": "kitti_odometry/dataset", "sequences": ["06"], "frames": [0, 51]},
    marker="sequences",
    images=51,
    split="a44524fec8d83b75",
    baseline="pixel_median",
)

RAW_CLIP = Protocol(
    name="kitti-raw-clip",
    about=(
        "KITTI raw, drive 2011_09_26_drive_0052_sync, frames 0, 12, ..., 72 of the left color camera, against "
        "their Velodyne scans (of several returns in a pixel the nearest); from frame 51 on the car stands, "
        "so that the last two show one scene"
    ),
    source={"kind": "kitti_raw", "root": "kitti_raw", "drives": ["2011_09_26_drive_0052_sync"], "frames": [0, 78]},
    marker="2011_09_26",
    truth="lidar",
    step=12,
    images=7,
    split="0ac33e31e87724a3",
    crop="garg",
    baseline="others_median",
)

PAIRS = Protocol(
    name="kitti2015-pairs",
    about="33 unrelated left images of KITTI 2015, against their measured depth",
    source={"kind": "folder", "root": "clips", "names": ["kitti2015_pairs"]},
    marker="kitti2015_pairs",
    images=33,
    split="c7ea21768a03accc",
    crop="garg",
    baseline="others_median",
)

PAIRS_LEFT_OUT = replace(
    PAIRS,
    name="kitti2015-left-out",
    about=(
        "the last 8 of 33 unrelated left images of KITTI 2015, which configs/kitti2015_stereo.yaml leaves out "
        "of training, against their measured depth"
    ),
    source={"kind": "folder", "root": "clips", "names": ["kitti2015_pairs"], "frames": [25, 33]},
    images=8,
    split="d00df72a0a364b6e",
)

EIGEN_ORIGINAL = Protocol(
    name="kitti-eigen-original",
    about=(
        "KITTI raw, the 697 test images of Eigen et al. (NeurIPS 2014; kitti_raw/data_splits/eigen_test_files.txt), "
        "against their Velodyne scans; as packnet-sfm evaluates"
    ),
    source={"kind": "kitti_raw", "root": "kitti_raw", "split_file": "data_splits/eigen_test_files.txt"},
    marker="data_splits",
    truth="lidar",
    projection="monodepth2",
    images=697,
    crop="garg",
    resizing="depth",
    ego_motion=False,
)

EIGEN_ORIGINAL_MONODEPTH2 = replace(
    EIGEN_ORIGINAL,
    name="kitti-eigen-original-monodepth2",
    about=EIGEN_ORIGINAL.about.replace("packnet-sfm", "monodepth2"),
    resizing="inverse_depth",
    median="mean",
)

EIGEN_IMPROVED = replace(
    EIGEN_ORIGINAL,
    name="kitti-eigen-improved",
    about=(
        "KITTI raw, those 652 of the test images of Eigen et al. (NeurIPS 2014; "
        "kitti_raw/data_splits/eigen_test_files.txt) that the depth benchmark has accumulated depth for "
        "(Uhrig et al., 3DV 2017; proj_depth/groundtruth), against that; as packnet-sfm evaluates"
    ),
    truth="depth",
    images=652,
)
