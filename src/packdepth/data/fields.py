"""The optional fields of a sample: which clips offer a field, how it is read, and which metric scale it gives.

A loss term names the fields that it needs. To add a field, add it to `records.Sample` and to `FIELDS` here. If
mirroring the images changes its value, `data.transforms.flipped` must change it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from packdepth.blocks import nearest
from packdepth.data.stereo_pairs import stereo_lack
from packdepth.data.targets import depth_source, distance, distance_source, motion
from packdepth.errors import InputError
from packdepth.objectives.objective import OUTPUTS
from packdepth.records import Clip, Frame, Readable, Sample


class SampleReader(Protocol):
    """A reader of images and measurements for samples, such as `data.dataset.ClipDataset`."""

    @property
    def offsets(self) -> tuple[int, ...]:
        """The offsets of the context frames from the target, in frames."""

    def read_image(self, clip: Clip, file: Readable) -> Tensor:
        """Return an image: [3, H, W] RGB in [0, 1].

        Args:
            clip: the clip of the image.
            file: the image.
        """

    def read_labels(self, frame: Frame) -> Tensor:
        """Return the class ids of a frame: [1, H, W] uint8.

        Args:
            frame: the frame, which must have a label map.
        """

    def read_depth(self, clip: Clip, frame: Frame) -> Tensor:
        """Return the measured depth of a frame at its own resolution: [1, h, w] metres, 0 where unknown.

        Args:
            clip: the clip of the frame.
            frame: the frame.
        """

    def read_teacher(self, clip: Clip, frame: Frame) -> Tensor:
        """Return a teacher's inverse depth of a frame: [1, H, W] in any unit, NaN where it is not known.

        Args:
            clip: the clip of the frame.
            frame: the frame, which must have a map.
        """


@dataclass(frozen=True)
class SampleField:
    """An optional field of a sample.

    Attributes:
        name: the name of the field in `records.Sample`.
        what: description of the field for messages.
        lack: function that returns what a clip lacks of the data of the field, and advice, for the error message; None
            if it lacks nothing.
        fill: function that reads the field: `(sample, reader, clip, index of the target frame)`.
        scale: function `(clips, number of LiDAR beams or None) -> source of the metric scale in words`; None if the
            field gives no metric scale.
        may_lack: whether a clip may be validated on without the data of the field, which is missing frame by frame.
    """

    name: str
    what: str
    lack: Callable[[Clip], str | None]
    fill: Callable[[Sample, SampleReader, Clip, int], None]
    scale: Callable[[Sequence[Clip], int | None], str] | None = None
    may_lack: bool = False


def _fill_distance(sample: Sample, reader: SampleReader, clip: Clip, index: int) -> None:
    distances = [distance(clip, index, index + offset) for offset in reader.offsets]
    assert None not in distances, "a target whose distances are not known"
    sample.distance = torch.tensor(distances)


def _fill_motion(sample: Sample, reader: SampleReader, clip: Clip, index: int) -> None:
    motions = [motion(clip, index, index + offset) for offset in reader.offsets]
    sample.motion = torch.from_numpy(np.stack(motions)).float()


def _fill_truth(sample: Sample, reader: SampleReader, clip: Clip, index: int) -> None:
    sample.truth = reader.read_depth(clip, clip.frames[index])


def _fill_right(sample: Sample, reader: SampleReader, clip: Clip, index: int) -> None:
    right = clip.frames[index].right
    assert right is not None
    sample.right = sample.network_right = reader.read_image(clip, right)
    sample.baseline = torch.tensor(clip.baseline)


def _fill_camera_height(sample: Sample, reader: SampleReader, clip: Clip, index: int) -> None:
    sample.camera_height = torch.tensor(clip.camera_height)


def _fill_semantic(sample: Sample, reader: SampleReader, clip: Clip, index: int) -> None:
    sample.semantic = reader.read_labels(clip.frames[index])


def _fill_context_semantic(sample: Sample, reader: SampleReader, clip: Clip, index: int) -> None:
    frames = [clip.frames[index + offset] for offset in reader.offsets]
    sample.context_semantic = torch.stack([reader.read_labels(frame) for frame in frames])


def _fill_teacher(sample: Sample, reader: SampleReader, clip: Clip, index: int) -> None:
    sample.teacher = reader.read_teacher(clip, clip.frames[index])


def _right_lack(clip: Clip) -> str | None:
    lack = stereo_lack(clip)
    return None if lack is None else f"{lack}; add what is missing"


def _labels_lack(clip: Clip) -> str | None:
    labeled = all(frame.semantic is not None for frame in clip.frames)
    return None if labeled else "no label map for each of its frames; write them with packdepth semantics label"


def _unless(offered: Callable[[Clip], bool], lack: str) -> Callable[[Clip], str | None]:
    """Return the `lack` of a field that a clip either offers or not."""
    return lambda clip: None if offered(clip) else lack


def _together(source: Callable[[Clip], str | None], clips: Sequence[Clip]) -> str:
    """Return the different sources of the clips, joined by commas."""
    return ", ".join(sorted({source(clip) or "nothing" for clip in clips}))


def _depth_scale(clips: Sequence[Clip], beams: int | None) -> str:
    return f"depth ({_together(depth_source, clips) if beams is None else f'lidar, {beams} beams'})"


FIELDS: Mapping[str, SampleField] = {
    field.name: field
    for field in (
        SampleField(
            name="distance",
            what="the distance traveled between frames",
            lack=_unless(
                lambda clip: distance_source(clip) is not None,
                "neither speed nor poses in metres for any of its frames; add speed_mps, such poses or speeds=LOG",
            ),
            fill=_fill_distance,
            scale=lambda clips, beams: f"velocity ({_together(distance_source, clips)})",
        ),
        SampleField(
            name="motion",
            what="the measured motion between frames",
            lack=_unless(
                lambda clip: distance_source(clip) == "poses" or all(f.pose is not None for f in clip.frames),
                "no poses, or poses of fewer frames than speeds; add them, or use the term velocity",
            ),
            fill=_fill_motion,
        ),
        SampleField(
            name="truth",
            what="measured depth",
            lack=_unless(
                lambda clip: depth_source(clip) is not None,
                "neither a depth map nor a LiDAR scan for any of its frames; add some",
            ),
            fill=_fill_truth,
            scale=_depth_scale,
            may_lack=True,
        ),
        SampleField(
            name="right",
            what="stereo pairs",
            lack=_right_lack,
            fill=_fill_right,
            scale=lambda clips, beams: "stereo",
        ),
        SampleField(
            name="camera_height",
            what="the height of the camera above the road",
            lack=_unless(
                lambda clip: clip.camera_height is not None,
                "no height_m in its camera.yaml; write it, give the term height_m",
            ),
            fill=_fill_camera_height,
            scale=lambda clips, beams: "camera height",
        ),
        SampleField("semantic", "label maps", _labels_lack, _fill_semantic),
        SampleField("context_semantic", "label maps of context frames", _labels_lack, _fill_context_semantic),
        SampleField(
            name="teacher",
            what="the inverse depth of a teacher",
            lack=lambda clip: None,  # a network predicts any clip; maps are looked for frame by frame
            fill=_fill_teacher,
            scale=lambda clips, beams: "teacher",
        ),
    )
}
"""The fields by name. A `scale_source` lists its parts in this order."""


def check_offers(clips: Sequence[Clip], needs: Mapping[str, tuple[str, ...]], validation: Sequence[Clip] = ()) -> None:
    """Raise InputError, naming term and clip, unless every clip offers the fields that the terms need.

    Args:
        clips: clips to train on.
        needs: the fields of the batch that each term needs, by the term's kind.
        validation: clips to validate on, which may lack measured depth: a scan for every tenth frame may not fall into
            the held-out end of a clip.

    >>> check_offers([], {"velocity": ("distance",)})
    """
    for term, names in needs.items():
        for name in names:
            if name not in FIELDS:
                raise InputError(
                    f"objective term '{term}' needs '{name}', which is no optional field of Batch or Outputs: "
                    f"{nearest(name, [*FIELDS, *sorted(OUTPUTS)])}"
                )
            field = FIELDS[name]
            for clip in clips if field.may_lack else (*clips, *validation):
                if (lack := field.lack(clip)) is not None:
                    raise InputError(
                        f"objective term '{term}' needs {field.what}, but clip {clip.name} ({clip.path}) has {lack}, "
                        f"or remove the term"
                    )
