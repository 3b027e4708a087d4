"""Formats on disk, one file each, parsed into Clips without torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from packdepth.sources.camvid import CamVid
from packdepth.sources.cityscapes import Cityscapes
from packdepth.sources.ddad import Ddad
from packdepth.sources.folder import Folder
from packdepth.sources.images import Images
from packdepth.sources.kitti_odometry import KittiOdometry
from packdepth.sources.kitti_raw import KittiRaw
from packdepth.sources.rgbd import Rgbd
from packdepth.sources.rosbag import Rosbag
from packdepth.sources.video import Video

AnySource = Annotated[
    KittiOdometry | KittiRaw | Ddad | Cityscapes | Rgbd | CamVid | Folder | Video | Images | Rosbag,
    Field(discriminator="kind"),
]
