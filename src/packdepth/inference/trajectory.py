"""The trajectory of a clip in prediction: measured poses, or the motion that the pose network predicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from packdepth.checkpoint import Meta
from packdepth.data.targets import frame_interval, gaps, unbroken
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.poses import between_neighbors, from_first
from packdepth.inference.base import BasePredictor, Image
from packdepth.inference.cameras import is_metric_for, match_clip
from packdepth.progress import counted
from packdepth.records import Clip


def measured_trajectory(clip: Clip, meta: Meta | None = None) -> np.ndarray | None:
    """Return the measured trajectory T_first_current [N, 4, 4] of a clip, in metres.

    Args:
        clip: the clip.
        meta: the description of the checkpoint that predicts the depth of the clip; None if its depth is measured.

    Returns:
        The trajectory; None if a frame has no pose, or if predicted depth is not metric.
    """
    poses = [frame.pose for frame in clip.frames if frame.pose is not None]
    complete = len(poses) == len(clip.frames) and (meta is None or is_metric_for(clip, meta))
    return from_first(np.stack(poses)) if complete else None


def lack_of_poses(posed: int, frames: int) -> str:
    """Return how many frames have no measured pose, as a main clause.

    Args:
        posed: the number of frames with a measured pose.
        frames: the number of all frames.

    >>> lack_of_poses(0, 8)
    'the frames have no measured poses'
    >>> lack_of_poses(7, 8)
    '1 of 8 frames has no measured pose'
    """
    lacking = frames - posed
    if lacking == frames:
        return "the frames have no measured poses"
    return f"{lacking} of {counted(frames, 'frame')} {'has' if lacking == 1 else 'have'} no measured pose"


def check_trajectory(predictor: BasePredictor, clip: Clip, what: str) -> None:
    """Raise InputError if the trajectory of a clip is neither measured nor predicted.

    Args:
        predictor: the predictor.
        clip: the clip.
        what: what needs the trajectory, for the message, such as "map".
    """
    if measured_trajectory(clip, predictor.meta) is not None:
        return
    if clip.independent or len(clip.frames) < 2:
        raise InputError(f"{clip.path}: a {what} needs consecutive frames of one moving camera")
    parts = unbroken(clip)
    if len(parts) > 1:
        raise InputError(
            f"{clip.path}: a {what} needs one trajectory, but nobody has seen the motion over the gap in time after "
            f"frame {parts[0].frames[-1].name}; predict its parts one by one, with frames=[FIRST, PAST_LAST]"
        )
    if not predictor.has_pose:
        posed, count = sum(frame.pose is not None for frame in clip.frames), len(clip.frames)
        lack = lack_of_poses(posed, count) if posed < count else "its poses are in metres, and depth is not"
        raise InputError(f"{clip.path}: a {what} needs a trajectory, but {lack}{predictor.pose_advice}")


def trajectory_origin(predictor: BasePredictor, clip: Clip, camera: Camera | None) -> str:
    """Return the origin of the poses of `trajectory` in words.

    Args:
        predictor: the predictor.
        clip: the clip.
        camera: the camera of its images, if one is known.
    """
    if measured_trajectory(clip, predictor.meta) is not None:
        return "measured poses"
    aligned = camera is not None and predictor.aligns_motions
    return f"predicted motion, {'' if aligned else 'not '}aligned with {'predicted ' if aligned else ''}depth"


def frame_step(predictor: BasePredictor, clip: Clip) -> int:
    """Return the distance of frames of a clip that are as far apart in time as the nearest context frame in training.

    Args:
        predictor: the predictor.
        clip: the clip.

    Returns:
        The distance in frames. It is that of the training if the frame rate of the training or of the clip is not
        known.
    """
    trained, here = predictor.meta.frame_interval, frame_interval(clip)
    if not trained or not here or clip.times_assumed:
        return predictor.frame_step
    return max(round(predictor.frame_step * trained / here), 1)


def neighbor_motions(
    predictor: BasePredictor, clip: Clip, camera: Camera | None = None, images: Iterable[Image] | None = None
) -> Iterator[np.ndarray]:
    """Yield the predicted motions T_next_current [4, 4] between neighboring frames of a clip, in constant memory.

    The network predicts the motion between frames as far apart as in training, for only this it has learned; the
    motions between neighbors are parts of it (`geometry.poses.between_neighbors`). Frames of a shorter clip are as far
    apart as it allows.

    Args:
        predictor: the predictor, with an ego-motion network.
        clip: the clip. Over a gap in time the motion means nothing.
        camera: the camera with which each motion is aligned with the predicted depth, as in `BasePredictor.motions`.
        images: the image of each frame, if somebody reads them already.
    """
    images = (frame.image.read() for frame in clip.frames) if images is None else images
    count, offsets = len(clip.frames), predictor.pose_offsets
    longest = count // 3 if len(offsets) > 1 else count - 1
    step = max(min(frame_step(predictor, clip), longest), 1)
    return between_neighbors(predictor.motions(images, camera, step), step, gaps(clip))


def trajectory(predictor: BasePredictor, clip: Clip, camera: Camera | None) -> Iterator[np.ndarray]:
    """Yield the pose T_first_current [4, 4] of each frame of a clip, in the unit of depth, in constant memory.

    Measured poses are used if depth is metric. Otherwise the pose network predicts the trajectory, whose motions are
    aligned with the predicted depth, unless label maps guide the depth network or the predictor is an exported file.

    Args:
        predictor: the predictor.
        clip: the clip, for which `check_trajectory` raises nothing.
        camera: the camera of its images, if one is known.
    """
    measured = measured_trajectory(clip, predictor.meta)
    if measured is not None:
        yield from measured
        return
    factor = match_clip(clip, predictor.meta).factor
    pose = np.eye(4)
    yield pose
    for T_next_current in neighbor_motions(predictor, clip, camera if predictor.aligns_motions else None):
        motion = T_next_current.copy()
        motion[:3, 3] *= factor
        pose = pose @ np.linalg.inv(motion)
        yield pose
