"""The camera of a clip in prediction: its own, or the one that the checkpoint has learned or assumed."""

from __future__ import annotations

from packdepth.checkpoint import LearnedCamera, Meta
from packdepth.geometry.camera import Camera
from packdepth.records import Clip


def learned_camera(clip: Clip, meta: Meta) -> LearnedCamera | None:
    """Return the camera that a checkpoint has learned or assumed for the images of a clip without a known camera.

    Args:
        clip: the clip.
        meta: the description of the checkpoint.

    Returns:
        The learned camera. The result is None if the clip's camera is known, if its images have several sizes, and if
        no camera or several cameras were learned for their size.
    """
    if clip.missing_camera is None or any(frame.size is not None for frame in clip.frames):
        return None
    return meta.camera_for(clip.camera.height, clip.camera.width)


def known_camera(clip: Clip, meta: Meta) -> Camera | None:
    """Return the camera of a clip: its own, otherwise the one that the checkpoint has learned; None without either.

    Args:
        clip: the clip.
        meta: the description of the checkpoint.
    """
    if clip.missing_camera is None:
        return clip.camera
    learned = learned_camera(clip, meta)
    return None if learned is None else learned.camera
