"""Networks that `packdepth export` wrote: the record in their files, and their predictor. Neither needs torch."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import PositiveInt, model_validator

from packdepth.blocks import Closed, parse
from packdepth.checkpoint import Meta
from packdepth.config import Precision
from packdepth.data.label_maps import check_ids
from packdepth.data.resized import resized_inv_depth, resized_labels, resized_pixels
from packdepth.errors import InputError, in_one_line
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.inference.base import (
    BasePredictor,
    Image,
    ImageMaps,
    check_label_size,
    check_predicted,
    image_pixels,
    sequence_pixels,
)
from packdepth.inference.runtimes import Port, Runtime, all_runtimes, runtime_for
from packdepth.reading import parse_json

LAYOUT = 1  # version of the record and of the names of inputs and outputs, which older versions of packdepth must know
IMAGE, LABELS, DEPTH, INV_DEPTH, CONFIDENCE = "image", "labels", "depth", "inv_depth", "confidence"
TARGET, CONTEXT, MOTION = "target", "context", "T_context_target"
BORDER = 0.05  # share of the width of a ramp in the fusion of mirrored predictions, as in `networks.flip`
A1 = math.log(1.25)  # error of log depth within which confidence counts, as in `networks.uncertainty`

ExportPrecision = Literal["32", "16", "bf16", "int8"]
"""Precision of an exported network: float32, float16, bfloat16 or, in most layers, 8-bit integers."""


class Parity(Closed):
    """The difference between an exported network and its checkpoint, on real images.

    >>> Parity(images=4, median=1e-7, largest=1e-5, abs_rel=1e-6).abs_rel
    1e-06
    """

    images: int
    """Number of images that were compared."""
    median: float
    """Median difference of inverse depth, over the mean inverse depth of its image."""
    largest: float
    """Largest difference of inverse depth, in the same unit."""
    abs_rel: float
    """Mean of the difference of depth over the depth of the checkpoint."""

    def __str__(self) -> str:
        return (
            f"inverse depth differs by {self.median:.2g} (median) and {self.largest:.2g} (largest) of its mean, "
            f"abs_rel {self.abs_rel:.2g}, on {self.images} image{'' if self.images == 1 else 's'}"
        )


class ExportRecord(Closed):
    """The description of an exported network, which its file holds as JSON under the key `packdepth`.

    >>> ExportRecord.model_fields["part"].annotation
    typing.Literal['depth', 'pose']
    """

    layout: int = LAYOUT
    """Version of this record."""
    part: Literal["depth", "pose"]
    """Whether the file holds the depth network or the ego-motion network."""
    packdepth: str
    """Version of packdepth that wrote the file."""
    network: str
    """Kind and parts of the network."""
    run_hash: str
    """First 12 digits of the SHA-256 of the checkpoint's run.yaml and weights."""
    image_size: tuple[PositiveInt, PositiveInt]
    """Height and width of the input, in pixels."""
    network_size: tuple[PositiveInt, PositiveInt]
    """Height and width at which the network computes, in pixels; the file resizes images to it, and maps back."""
    batch: PositiveInt | None
    """Number of images in a call; None for any number."""
    input: Literal["float", "uint8"]
    """Values of the input: floats in [0, 1], or 0 to 255."""
    precision: ExportPrecision
    """Precision of the computation."""
    metric: bool
    """Whether depth is in metres."""
    scale: str
    """The scale of depth in words, and how well it was measured."""
    label_classes: PositiveInt | None = None
    """Number of classes of the label maps that guide the depth network."""
    classes: list[str] = []
    """Names of the classes of the segmentation network that guides the depth network."""
    confidence: bool = False
    """Whether the network predicts confidence."""
    offsets: tuple[int, ...] = ()
    """Offsets of the context frames of an ego-motion network, in frames from the target."""
    frame_step: PositiveInt = 1
    """Distance of the frames between which an ego-motion network has learned motion. Packdepth before 0.3 wrote no such
    number."""
    uses_depth: bool = False
    """Whether the views of an ego-motion network have inverse depth as a fourth channel."""
    license: str
    """Note on the license."""
    meta: Meta
    """The description of the checkpoint; without metres where the size of the network takes them."""

    @model_validator(mode="after")
    def _of_one_mind(self) -> ExportRecord:
        """Raise ValueError for a later version, and where the record and its description contradict each other."""
        if self.layout > LAYOUT:
            raise ValueError(f"layout: is {self.layout}, of a later version; update packdepth")
        if self.metric != self.meta.metric:
            raise ValueError(
                f"metric: is {self.metric}, and meta.metric {self.meta.metric}; export its checkpoint again"
            )
        return self

    @property
    def inputs(self) -> dict[str, Port]:
        """The inputs that the file must have, by name."""
        dtype = "float32" if self.input == "float" else "uint8"
        if self.part == "pose":
            view = 3 + self.uses_depth, *self.image_size
            return {
                TARGET: Port((self.batch, *view), dtype),
                CONTEXT: Port((self.batch, len(self.offsets), *view), dtype),
            }
        ports = {IMAGE: Port((self.batch, 3, *self.image_size), dtype)}
        if self.label_classes is not None:
            ports[LABELS] = Port((self.batch, 1, *self.image_size), "uint8")
        return ports

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs that the file must have."""
        return (MOTION,) if self.part == "pose" else (INV_DEPTH, *([CONFIDENCE] if self.confidence else []))


def is_exported(path: Path) -> bool:
    """Return whether a path is a file that a runtime opens, by its suffix.

    Args:
        path: the path.

    >>> is_exported(Path("model.onnx"))
    False
    """
    return path.is_file() and path.suffix in {suffix for each in all_runtimes().values() for suffix in each.suffixes}


def pose_path(path: Path) -> Path:
    """Return the path of the ego-motion network that belongs to an exported depth network.

    Args:
        path: the file of the depth network.

    >>> pose_path(Path("out/model.onnx")).name
    'model-pose.onnx'
    """
    return path.with_stem(f"{path.stem}-pose")


def load_exported(path: Path, runtime: str | None = None, precision: Precision = "32") -> ExportedPredictor:
    """Load a depth network that `packdepth export` wrote, and the ego-motion network beside it, if there is one.

    Args:
        path: the file of the depth network.
        runtime: the kind of the runtime; if left out, the first that takes the file and is installed.
        precision: precision of the computation. A file that was exported for bfloat16 is computed in it anyway.

    Raises InputError if the file cannot be read, if another tool wrote it, or if the runtime does not suit it.
    """
    record, session = _opened(path, runtime, precision)
    if record.part == "pose":
        raise InputError(f"{path}: holds an ego-motion network; give the depth network that was exported with it")
    pose = pose_beside(path, runtime, precision)
    if pose is not None and pose[0].run_hash != record.run_hash:
        raise InputError(
            f"{pose_path(path)}: was exported from another checkpoint than {path.name}; remove it or export again"
        )
    return ExportedPredictor(record, session, pose)


def pose_beside(
    path: Path, runtime: str | None = None, precision: Precision = "32"
) -> tuple[ExportRecord, Runtime] | None:
    """Return the ego-motion network that `packdepth export` wrote beside a depth network; None if there is none.

    A file of its name that another program wrote, or that cannot be read, is no such network.

    Args:
        path: the file of the depth network.
        runtime: the kind of the runtime, as in `load_exported`.
        precision: precision of the computation.

    >>> pose_beside(Path("no such folder/model.onnx")) is None
    True
    """
    beside = pose_path(path)
    if not beside.is_file():
        return None
    try:
        found = _opened(beside, runtime, precision)
    except InputError:
        return None
    return found if found[0].part == "pose" else None


def _opened(path: Path, runtime: str | None, precision: Precision) -> tuple[ExportRecord, Runtime]:
    """Return the record and the network of a file."""
    kind = runtime_for(path, runtime)
    session = kind(path, precision)
    record = read_record(path, session.record)
    _check_ports(path, record, session)
    if record.precision == "bf16" and precision != "bf16":
        session = kind(path, "bf16")
    return record, session


def _check_ports(path: Path, record: ExportRecord, session: Runtime) -> None:
    """Raise InputError unless a network takes and returns what its record says: a file that was edited may not."""
    for name, needed in record.inputs.items():
        port = session.inputs.get(name)
        if port is None or not port.fits(needed):
            found = "has no such input" if port is None else f"takes {port}"
            raise InputError(
                f"{path}: its record tells of an input '{name}', {needed}, but the network {found}; export its "
                f"checkpoint again"
            )
    missing = [name for name in record.outputs if name not in session.outputs]
    more = [name for name in session.inputs if name not in record.inputs]
    if missing or more:
        what = f"has no output '{missing[0]}'" if missing else f"needs an input '{in_one_line(more[0])}', too"
        raise InputError(
            f"{path}: its network {what}, of which its record tells otherwise; export its checkpoint again"
        )


def read_record(path: Path, text: str | None) -> ExportRecord:
    """Return the record of an exported network.

    Args:
        path: the file, for messages.
        text: the record as JSON; None if the file holds none.

    Raises InputError if there is none, if another version of packdepth wrote one that is not understood, and if it
    contradicts itself.
    """
    if text is None:
        raise InputError(f"{path}: was not written by packdepth export (it has no record of it); export a checkpoint")
    advice = "; another version of packdepth wrote it, or it was edited: export its checkpoint again"
    where = f"{path}: its record"
    try:
        return parse(ExportRecord, parse_json(text, where, "what packdepth export wrote"), where)
    except InputError as error:
        raise InputError(f"{error}{advice}") from None


class ExportedPredictor(BasePredictor):
    """A predictor that computes exported networks. `load_exported` returns one.

    Args:
        record: the description of the depth network.
        session: the depth network.
        pose: the description of the ego-motion network, and the network; None if there is none.

    Attributes:
        record: the description of the depth network.
        meta: the description of the checkpoint.
    """

    def __init__(
        self, record: ExportRecord, session: Runtime, pose: tuple[ExportRecord, Runtime] | None = None
    ) -> None:
        self.record, self.meta = record, record.meta
        self._session, self._pose = session, pose

    def __repr__(self) -> str:
        (height, width), record = self.record.image_size, self.record
        pose = self.pose_network or "no pose network"
        return f"ExportedPredictor({record.network} {height}x{width}, {pose}, {self.meta.scale}, {self._session.kind})"

    @property
    def pose_network(self) -> str | None:
        """Kind of the ego-motion network; None if there is none."""
        return None if self._pose is None else self._pose[0].network

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the networks' input, in pixels."""
        return self.record.image_size

    @property
    def label_classes(self) -> int | None:
        """The number of classes of the label maps that guide the depth network; None without label maps."""
        return self.record.label_classes

    @property
    def has_confidence(self) -> bool:
        """Whether the depth network predicts confidence."""
        return self.record.confidence

    @property
    def pose_offsets(self) -> tuple[int, ...]:
        """The offsets of the context frames of the ego-motion network beside the depth network; empty without one."""
        return () if self._pose is None else self._pose[0].offsets

    @property
    def frame_step(self) -> int:
        """The distance of the nearest context frame in training, in frames; 1 if it is not known."""
        return 1 if self._pose is None else self._pose[0].frame_step

    @property
    def aligns_motions(self) -> bool:
        """Whether `motions` can be aligned with the predicted depth: no, this takes torch."""
        return False

    @property
    def pose_advice(self) -> str:
        """The advice if there is no ego-motion network, after "no measured poses" in a sentence."""
        return (
            ", and no ego-motion network of packdepth lies beside this exported file; write both with packdepth export "
            "--pose, or give the checkpoint"
        )

    def compute(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs of the depth network, as its file has them.

        Args:
            inputs: its inputs, by name.
        """
        return self._session(inputs)

    def compute_motion(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs of the ego-motion network, which must be there, as its file has them.

        Args:
            inputs: its inputs, by name.
        """
        assert self._pose is not None
        return self._pose[1](inputs)

    def network_maps(
        self, images: Sequence[np.ndarray], labels: Sequence[np.ndarray | None], mirrored: bool = False
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return inverse depth and confidence of images at the network's size, [B, h, w] float32 each.

        Args:
            images: images [H, W, 3] float32, RGB in [0, 1], of any sizes.
            labels: the label map [H, W] uint8 of each image, if label maps guide the depth network.
            mirrored: predict the mirror images; the maps are mirrored, too.

        Raises InputError if label maps guide the depth network but are missing or differ in size.
        """
        inputs = {IMAGE: np.stack([self._input(image) for image in images])}
        if self.label_classes is not None:
            pairs = zip(images, labels, strict=True)
            inputs[LABELS] = np.stack([self._labels(ids, *image.shape[:2]) for image, ids in pairs])
        if mirrored:
            inputs = {name: np.ascontiguousarray(values[..., ::-1]) for name, values in inputs.items()}
        outputs = _in_batches(self._session, inputs, self.record.batch)
        for name in self.record.outputs:
            shape = (len(images), 1, *self.image_size)
            if outputs[name].shape != shape:
                raise InputError(
                    f"the exported network returns '{name}' of shape {list(outputs[name].shape)}, where "
                    f"{list(shape)} is needed; export its checkpoint again"
                )
        inv_depth = outputs[INV_DEPTH]
        check_predicted(bool(np.isfinite(inv_depth).all() and (inv_depth >= 0).all()))
        return outputs[INV_DEPTH][:, 0], outputs[CONFIDENCE][:, 0] if self.has_confidence else None

    def network_inv_depth(self, image: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Return the inverse depth [h, w] float32 (1/metres) of an image at the network's size."""
        inv_depth: np.ndarray = self.network_maps([image_pixels(image)], [labels])[0][0]
        return inv_depth

    def image_maps(
        self, images: Sequence[np.ndarray], labels: Sequence[np.ndarray | None], flip: bool
    ) -> list[ImageMaps]:
        """Return the maps of images, in one call of the depth network."""
        inv_depth, confidence = self.network_maps(images, labels)
        difference = None
        if flip:
            mirrored, mirrored_confidence = self.network_maps(images, labels, mirrored=True)
            difference = relative_difference(inv_depth, mirrored[..., ::-1])
            inv_depth = fused(inv_depth, mirrored)
            if confidence is not None and mirrored_confidence is not None:
                confidence = confidence_of(fused(log_scale_of(confidence), log_scale_of(mirrored_confidence)))

        def at_size(maps: np.ndarray | None, index: int) -> np.ndarray | None:
            return None if maps is None else resized_inv_depth(maps[index], *images[index].shape[:2])

        return [
            ImageMaps(resized_inv_depth(each, *image.shape[:2]), at_size(difference, i), at_size(confidence, i))
            for i, (image, each) in enumerate(zip(images, inv_depth, strict=True))
        ]

    def motions(self, images: Iterable[Image], camera: Camera | None = None, step: int = 1) -> Iterator[np.ndarray]:
        """Yield the motions of `ego_motion`, each [4, 4], of a video of any length in constant memory."""
        if self._pose is None:
            raise InputError("the exported file holds a depth network alone; export the checkpoint with --pose")
        if camera is not None:
            raise InputError("an exported network cannot align motions with depth (--align); give the checkpoint")
        record, session = self._pose
        before = step * (len(record.offsets) - 1)  # frames before the target that the network needs: none, or a step
        window: deque[np.ndarray] = deque(maxlen=before + step + 1)
        early: list[np.ndarray] = []  # motions of the first targets, which come after those of the frames before them
        count = 0
        for pixels in sequence_pixels(images):
            window.append(self._view(pixels))
            if len(window) < before + step + 1:
                continue
            count += 1
            target = window[before]
            context = np.stack([window[before + step * offset] for offset in record.offsets])
            T = _in_batches(session, {TARGET: target[None], CONTEXT: context[None]}, record.batch)[MOTION][0]
            if count > before:
                yield T[-1].astype(np.float64)
                continue
            yield np.linalg.inv(
                T[0].astype(np.float64)
            )  # the first frames cannot be targets: invert the motion to them
            early.append(T[-1].astype(np.float64))
            if count == before:
                yield from early
        if count < max(before, 1):
            raise InputError(f"ego-motion is between frames: give at least {max(3 * before, step + 1)} images")

    def _view(self, pixels: np.ndarray) -> np.ndarray:
        """Return an image as a view [C, h, w] of the ego-motion network: with its inverse depth if that is needed."""
        assert self._pose is not None
        view = resized_pixels(pixels, *self.image_size).transpose(2, 0, 1)
        if not self._pose[0].uses_depth:
            return view
        return np.concatenate([view, self.network_maps([pixels], [None])[0]])

    def _input(self, image: np.ndarray) -> np.ndarray:
        """Return an image [H, W, 3] as the network takes it, [3, h, w]."""
        pixels = resized_pixels(image, *self.image_size).transpose(2, 0, 1)
        return np.rint(pixels * 255).astype(np.uint8) if self.record.input == "uint8" else pixels

    def _labels(self, ids: np.ndarray | None, height: int, width: int) -> np.ndarray:
        """Return the label map of an image of a size as the network takes it, [1, h, w]."""
        assert self.label_classes is not None
        ids = check_label_size(ids, height, width)
        check_ids(ids, self.label_classes, "the label map")
        return resized_labels(ids, *self.image_size)[None]


def _in_batches(session: Runtime, inputs: Mapping[str, np.ndarray], batch: int | None) -> dict[str, np.ndarray]:
    """Return the outputs of a network for inputs [N, ...], of which it takes `batch` at a time, or any number."""
    count = len(next(iter(inputs.values())))
    if batch is None:
        return session(inputs)
    parts = []
    for start in range(0, count, batch):
        places = np.minimum(np.arange(start, start + batch), count - 1)  # repeats the last one to fill the batch
        parts.append(session({name: values[places] for name, values in inputs.items()}))
    return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}


def fused(maps: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Return maps fused with those of the mirror images, as `packdepth.networks.flip.fuse_flipped` does.

    Args:
        maps: [..., W] float32.
        mirrored: [..., W] float32, as predicted.

    >>> fused(np.ones((1, 3), np.float32), np.full((1, 3), 3, np.float32))
    array([[3., 2., 1.]], dtype=float32)
    """
    back = mirrored[..., ::-1]
    x = np.linspace(0, 1, maps.shape[-1], dtype=np.float32)
    left = 1 - ((x - np.float32(BORDER)) / np.float32(BORDER)).clip(0, 1)
    right = left[::-1]
    result: np.ndarray = right * maps + left * back + (1 - left - right) * (maps + back) / 2
    return result


def relative_difference(inv_depth: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the difference of two inverse depths over their mean, between 0 and 2.

    Args:
        inv_depth: inverse depth of any shape.
        other: inverse depth of the same shape.

    >>> relative_difference(np.array([1.0, 0.5]), np.array([3.0, 0.5]))
    array([1., 0.])
    """
    result: np.ndarray = 2 * np.abs(inv_depth - other) / np.maximum(inv_depth + other, MIN_INV_DEPTH)
    return result


def confidence_of(log_scale: np.ndarray) -> np.ndarray:
    """Return confidence in [0, 1], as `packdepth.networks.uncertainty.confidence_of` does.

    Args:
        log_scale: logarithm of the scale of errors of log depth, any shape.

    >>> confidence_of(np.log([0.2, 2.0])).round(4).tolist()
    [0.6723, 0.1056]
    """
    result: np.ndarray = -np.expm1(-A1 / np.exp(log_scale))
    return result


def log_scale_of(confidence: np.ndarray) -> np.ndarray:
    """Return the log-scale whose confidence is given: the inverse of `confidence_of`.

    Args:
        confidence: confidence in [0, 1], any shape.

    >>> log_scale_of(confidence_of(np.log([0.2, 2.0]))).round(4).tolist() == np.log([0.2, 2.0]).round(4).tolist()
    True
    """
    epsilon = np.finfo(np.float32).eps
    result: np.ndarray = np.log(A1 / -np.log1p(-confidence.clip(epsilon, 1 - epsilon)))
    return result
