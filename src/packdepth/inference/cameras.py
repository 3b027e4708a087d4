"""The camera to predict a clip with."""

from __future__ import annotations

from packdepth.checkpoint import LearnedCamera, Meta
from packdepth.geometry.camera import Camera
from packdepth.records import Clip


def learned_camera(clip: Clip, meta: Meta) -> LearnedCamera | None:
    """Return the camera that a checkpoint has learned for the images of a clip whose camera nobody knows.

    Args:
        clip: the clip.
        meta: what the checkpoint says of itself.

    Returns:
        The learned camera; None where the clip's camera is known, where its images are of several sizes, and where
        none or several were learned for their size.
    """
    if clip.missing_camera is None or any(frame.size is not None for frame in clip.frames):
        return None
    return meta.camera_for(clip.camera.height, clip.camera.width)


def known_camera(clip: Clip, meta: Meta) -> Camera | None:
    """Return the camera of a clip: its own, or else the one that the checkpoint has learned; None without either.

    Args:
        clip: the clip.
        meta: what the checkpoint says of itself.
    """
    if clip.missing_camera is None:
        return clip.camera
    learned = learned_camera(clip, meta)
    return None if learned is None else learned.camera
