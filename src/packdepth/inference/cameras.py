"""The camera of a clip in prediction: its own, learned or assumed, and how it compares with those of the training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from packdepth.checkpoint import LearnedCamera, Meta
from packdepth.geometry.camera import Camera
from packdepth.records import Clip
from packdepth.sources.files import listed

MAX_ZOOM = 1.25  # ratio of focal lengths up to which depth stays metric: the error then grew by 1.16, at 1.5 by 1.33
# (docs/results/2026-11-26-other-cameras.md)
# of the image's height, between the rows of principal points: the days of KITTI differ by 0.033. At 0.06 the error was
# 1.35 and 1.5 times as large, at 0.12 twice; sideways 0.1 changed nothing (docs/results/2026-11-28-zoom.md)
MAX_SHIFT = 0.04
MAX_STRETCH = 1.1  # ratio of the horizontal to the vertical zoom up to which things keep their shape; chosen by eye


@dataclass(frozen=True)
class CameraAdvice:
    """Advice about the camera of images, in the words of the place that gives it: the command line or a page.

    >>> CameraAdvice("state its field of view", "state a field of view if it is another").assumed
    'without a calibration, the camera is taken for that of the training (state a field of view if it is another)'
    """

    unknown: str  # the advice where the camera must be known
    other: str  # the advice where the camera is assumed to be that of the training

    @property
    def assumed(self) -> str:
        """The part of a sentence that says which camera is assumed."""
        return f"without a calibration, the camera is taken for that of the training ({self.other})"


COMMAND_LINE = CameraAdvice("name its calibration with --camera", "predict --camera names another")
ASSUMED = COMMAND_LINE.assumed


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


def camera_for_points(clip: Clip, meta: Meta) -> Camera | None:
    """Return the camera with which points of a clip are made: its own, or else the one of the training for its size.

    A prediction without it makes the same depth, for an image of a trained size is taken for one of that camera. A
    trajectory that is aligned with depth, as that of a map, is aligned by it, too.

    Args:
        clip: the clip.
        meta: the description of the checkpoint.

    Returns:
        The camera. The result is None if the clip has none and its images have several sizes, or a size that none or
        several of the cameras of the training have.
    """
    known = known_camera(clip, meta)
    if known is not None or any(frame.size is not None for frame in clip.frames):
        return known
    size = clip.camera.height, clip.camera.width
    trained = [each for each in (*meta.trained_cameras, *meta.cameras) if (each.height, each.width) == size]
    return trained[0].camera if len(trained) == 1 else None


@dataclass(frozen=True)
class CameraMatch:
    """The comparison of the camera of an image with those that the networks were trained on."""

    factor: float = 1.0
    """Factor of predicted depth and motion: the focal length over that of the nearest trained camera."""
    is_metric: bool = True
    """Whether depth of a metric checkpoint stays metric."""
    warning: str | None = None
    """One sentence for the user, if depth does not stay metric."""


def match_camera(
    camera: Camera | None, height: int, width: int, meta: Meta, advice: CameraAdvice = COMMAND_LINE
) -> CameraMatch:
    """Compare the camera of an image with those that the networks were trained on, at the size of their input.

    A longer lens enlarges the image. The network takes what is enlarged for near, so that predicted depth is multiplied
    by the ratio of the focal lengths. Objects that are larger, or lower in the image, than in training are learned less
    well; therefore depth is called metric only for ratios up to `MAX_ZOOM`, and where the principal point is moved up
    or down by `MAX_SHIFT` at most, as it is in images that were cropped.

    Args:
        camera: the camera of the image; None if it is not known.
        height: height of the image, in pixels.
        width: width of the image, in pixels.
        meta: the description of the checkpoint. One that records no trained camera matches any image.
        advice: what the user does about the camera.

    Returns:
        The comparison. An image without a camera must have the size of a trained camera's images.

    >>> trained = {"width": 640, "height": 192, "fx": 320.0, "fy": 320.0, "cx": 319.5, "cy": 95.5}
    >>> meta = Meta(packdepth="0.1.0", created="2026-11-26", epoch=1, step=20, metric=True, scale_source="stereo",
    ...             clips=[], frames=100, trained_cameras=[trained])
    >>> match = match_camera(Camera(640.0, 640.0, 319.5, 95.5, 640, 192), 192, 640, meta)
    >>> match.factor, match.is_metric
    (2.0, False)
    """
    if camera is None:
        return _match_sizes([(height, width)], meta, advice)
    if not (meta.trained_cameras or meta.cameras):
        return CameraMatch()
    found = [(*_zoom(camera, each.camera), _shift(camera, each.camera)) for each in meta.trained_cameras]
    found += [(*_zoom(camera, each.camera), 0.0) for each in meta.cameras]  # whose principal point is nearly a guess
    across, down, shift = min(found, key=lambda each: abs(math.log(each[0])) + abs(math.log(each[1])) + abs(each[2]))
    factor, stretch = math.sqrt(across * down), across / down
    if max(stretch, 1 / stretch) > MAX_STRETCH:
        warning = (
            f"its images are stretched by {max(stretch, 1 / stretch):.2f} at the network's size, compared with the "
            f"images of the training; crop them to the same shape, or train on this camera"
        )
        return CameraMatch(factor, False, warning)
    if max(factor, 1 / factor) > MAX_ZOOM:
        warning = (
            f"its focal length is {factor:.2f} times that of the training, for the same image size; depth is corrected "
            f"for it, but not reliably beyond {MAX_ZOOM:g} times; train on this camera"
        )
        return CameraMatch(factor, False, warning)
    if abs(shift) > MAX_SHIFT:
        moved = (
            f"is {abs(shift):.0%} of the image's height {'lower' if shift > 0 else 'higher'} than that of the training"
        )
        if (camera.cx, camera.cy) == ((camera.width - 1) / 2, (camera.height - 1) / 2):
            why = "as it is in the middle, where a field of view alone puts it; name the camera's calibration"
        else:
            cut = "bottom" if shift > 0 else "top"
            why = f"as in images that were cropped at the {cut}; crop them as those of the training"
        return CameraMatch(factor, False, f"its principal point {moved}, {why}, or train on this camera")
    return CameraMatch(factor)


def _match_sizes(sizes: Sequence[tuple[int, int]], meta: Meta, advice: CameraAdvice) -> CameraMatch:
    """Compare images of an unknown camera, of one or several sizes (height, width), with those of the training."""
    trained = {(each.height, each.width) for each in (*meta.trained_cameras, *meta.cameras)}
    if not trained or trained.issuperset(sizes):
        return CameraMatch()
    here, there = (listed([f"{width}x{height}" for height, width in each]) for each in (sizes, sorted(trained)))
    what = advice.unknown if len(sizes) == 1 else "predict the images of each size apart"
    return CameraMatch(
        is_metric=False,
        warning=f"its camera is not known, and its images are {here} pixels where the networks were trained on "
        f"{there}; {what}",
    )


def match_clip(clip: Clip, meta: Meta, advice: CameraAdvice = COMMAND_LINE) -> CameraMatch:
    """Compare the camera of a clip with those that the networks were trained on, as `match_camera` does.

    Without a known camera, the images of a clip may have several sizes: depth stays metric if all of them are sizes of
    the training.

    Args:
        clip: the clip; its camera is the one that is known for it, see `known_camera`.
        meta: the description of the checkpoint.
        advice: what the user does about the camera.
    """
    camera, first = known_camera(clip, meta), (clip.camera.height, clip.camera.width)
    if camera is not None:
        return match_camera(camera, *first, meta, advice)
    others = (frame.size for frame in clip.frames if frame.size is not None)
    return _match_sizes(list(dict.fromkeys([first, *others])), meta, advice)


def is_metric_for(clip: Clip, meta: Meta) -> bool:
    """Return whether the depth that is predicted for a clip is in metres.

    Args:
        clip: the clip.
        meta: the description of the checkpoint.
    """
    return meta.metric and match_clip(clip, meta).is_metric


def scale_of_clip(clip: Clip, meta: Meta, advice: CameraAdvice = COMMAND_LINE) -> str:
    """Return the scale of the depth that is predicted for a clip, in words.

    Args:
        clip: the clip.
        meta: the description of the checkpoint.
        advice: what the user does about the camera.
    """
    match = match_clip(clip, meta, advice)
    if meta.metric and match.warning is not None:
        return f"not metric for {clip.short_name}: {match.warning}"
    if meta.metric and known_camera(clip, meta) is None:
        return f"{meta.scale}; {advice.assumed}"
    return meta.scale


def scale_of_points(clip: Clip, camera: Camera | None, meta: Meta, advice: CameraAdvice = COMMAND_LINE) -> str:
    """Return the scale of predicted depth as `scale_of_clip` does, and whether the points' camera is assumed.

    Args:
        clip: the clip.
        camera: the camera of the points, as `camera_for_points` returns it.
        meta: the description of the checkpoint.
        advice: what the user does about the camera.
    """
    scale = scale_of_clip(clip, meta, advice)
    is_assumed = camera is not None and known_camera(clip, meta) is None
    return f"{scale}; {advice.assumed}" if is_assumed and advice.assumed not in scale else scale


def scale_on(clips: Sequence[Clip], meta: Meta) -> tuple[bool, str]:
    """Return whether the depth that is predicted for all of some clips is in metres, and its scale in words.

    Args:
        clips: the clips.
        meta: the description of the checkpoint.
    """
    foreign = [clip for clip in clips if meta.metric and not is_metric_for(clip, meta)]
    return (False, scale_of_clip(foreign[0], meta)) if foreign else (meta.metric, meta.scale)


def _shift(camera: Camera, trained: Camera) -> float:
    """Return how far the principal point of a camera is below that of another, as a share of the images' heights."""
    here, there = ((float(each.cy) + 0.5) / each.height for each in (camera, trained))
    return here - there


def _zoom(camera: Camera, trained: Camera) -> tuple[float, float]:
    """Return the horizontal and the vertical ratio of two focal lengths, each in units of the image's side."""
    across = float(camera.fx / camera.width) / float(trained.fx / trained.width)
    down = float(camera.fy / camera.height) / float(trained.fy / trained.height)
    return across, down
