"""Formats on disk, one file each, parsed into Clips without torch.

To add a format, add a file with a subclass of `Source`; nothing else changes. `docs/extending.md` shows a source of an
installed package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packdepth.lazy import lazy_names

if TYPE_CHECKING:
    from packdepth.sources.base import AnySource as AnySource
    from packdepth.sources.base import Source as Source
    from packdepth.sources.camvid import CamVid as CamVid
    from packdepth.sources.cityscapes import Cityscapes as Cityscapes
    from packdepth.sources.ddad import Ddad as Ddad
    from packdepth.sources.files import DepthPng as DepthPng
    from packdepth.sources.files import ImageFile as ImageFile
    from packdepth.sources.files import common_size as common_size
    from packdepth.sources.folder import Folder as Folder
    from packdepth.sources.images import Images as Images
    from packdepth.sources.json_file import Content as Content
    from packdepth.sources.json_file import read_json as read_json
    from packdepth.sources.kitti_odometry import KittiOdometry as KittiOdometry
    from packdepth.sources.kitti_raw import KittiRaw as KittiRaw
    from packdepth.sources.open import open_clips as open_clips
    from packdepth.sources.recognize import source_at as source_at
    from packdepth.sources.rgbd import Rgbd as Rgbd
    from packdepth.sources.rosbag import Rosbag as Rosbag
    from packdepth.sources.video import Video as Video

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AnySource": "packdepth.sources.base",
        "CamVid": "packdepth.sources.camvid",
        "Cityscapes": "packdepth.sources.cityscapes",
        "Content": "packdepth.sources.json_file",
        "Ddad": "packdepth.sources.ddad",
        "DepthPng": "packdepth.sources.files",
        "Folder": "packdepth.sources.folder",
        "ImageFile": "packdepth.sources.files",
        "Images": "packdepth.sources.images",
        "KittiOdometry": "packdepth.sources.kitti_odometry",
        "KittiRaw": "packdepth.sources.kitti_raw",
        "Rgbd": "packdepth.sources.rgbd",
        "Rosbag": "packdepth.sources.rosbag",
        "Source": "packdepth.sources.base",
        "Video": "packdepth.sources.video",
        "common_size": "packdepth.sources.files",
        "open_clips": "packdepth.sources.open",
        "read_json": "packdepth.sources.json_file",
        "source_at": "packdepth.sources.recognize",
    },
)
