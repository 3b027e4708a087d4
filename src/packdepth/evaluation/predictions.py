"""Predictions to evaluate: those of a checkpoint's networks, or depth that was saved before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from packdepth.checkpoint import META, scale_in_words
from packdepth.config import Imported
from packdepth.data.label_maps import check_guiding_classes
from packdepth.errors import InputError
from packdepth.evaluation.ground_truth import has_ground_truth
from packdepth.evaluation.seen import divided
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.inference.base import BasePredictor, image_pixels
from packdepth.inference.cameras import match_clip, scale_on
from packdepth.inference.exported import ExportedPredictor, fused, is_exported, log_scale_of
from packdepth.inference.exported import relative_difference as array_difference
from packdepth.inference.load import load
from packdepth.inference.predictor import Predictor, image_tensor, label_tensor, relative_difference
from packdepth.inference.trajectory import neighbor_motions
from packdepth.interop.monodepth2 import ENCODER
from packdepth.interop.read import MODEL_CONFIG
from packdepth.progress import counted
from packdepth.reading import read_arrays, refusing
from packdepth.records import Clip, Frame
from packdepth.thumbnail import shows_other_scene, thumbnail

CHECKPOINT_FILES = (META, ENCODER, MODEL_CONFIG)
"""The files by which a folder is known as a checkpoint: of packdepth, of monodepth2 and of transformers."""

SAVED_DEPTH = "depth that packdepth saved"  # the content of its files, for messages

AnyPredictor = TypeVar("AnyPredictor", bound=BasePredictor)


class FrameMaps(NamedTuple):
    """The predicted maps of a frame."""

    inv_depths: dict[str, Tensor]  # inverse depth [1, 1, h, w] (1/metres) by row: plain, and flip if there is any
    doubts: dict[str, Tensor]  # orders [1, 1, h, w] in which pixels of the row plain are doubted, the largest first, by
    # name: that of the confidence and, beside it, the difference from the mirrored image; empty without confidence


class Predictions(Protocol):
    """The interface of everything that can be evaluated."""

    name: str
    """The name in reports: the path of the checkpoint or of the saved depth."""
    scale_source: str
    """The origin of the scale, such as "velocity (speed)"."""
    flip_note: str | None
    """A sentence on why fusion with the mirror image is no gain; None if nothing is known, see `BasePredictor`."""

    def scale_on(self, clips: Sequence[Clip]) -> tuple[bool, str]:
        """Return whether depth of these clips is in metres, and its scale in words.

        Args:
            clips: the clips that are predicted; their cameras may differ from those of the training.
        """

    def ego_motion(self, clip: Clip, images: Iterable[np.ndarray]) -> np.ndarray | None:
        """Return the predicted ego-motion T_next_current [N - 1, 4, 4] of a clip, see `neighbor_motions`.

        Args:
            clip: the clip.
            images: the image of each of its N frames, [H, W, 3].

        Returns:
            The motions. Without any, the result is None, and no image is read.
        """

    def untrained(self, clips: Sequence[Clip]) -> frozenset[tuple[str, str]] | None:
        """Return the clip and the name of each frame that was not trained on; None if that is not known.

        Args:
            clips: the clips that are predicted, all frames of them.
        """

    def maps(self, clip: Clip, frames: Sequence[Frame], images: Sequence[np.ndarray]) -> list[FrameMaps]:
        """Return the predicted maps of frames, in one call of the networks.

        Args:
            clip: the clip of the frames.
            frames: the frames.
            images: the image of each frame, [H, W, 3].
        """


class PredictorPredictions(Generic[AnyPredictor]):
    """The predictions of a predictor, of either kind.

    Args:
        name: the name in reports.
        predictor: the predictor.
    """

    def __init__(self, name: str, predictor: AnyPredictor) -> None:
        self.name, self.predictor = name, predictor
        self.scale_source, self.flip_note = predictor.meta.scale_source, predictor.flip_note

    def scale_on(self, clips: Sequence[Clip]) -> tuple[bool, str]:
        """Return whether depth of these clips is in metres, and its scale in words, see `Predictions`.

        Args:
            clips: the clips that are predicted.
        """
        return scale_on(clips, self.predictor.meta)

    def ego_motion(self, clip: Clip, images: Iterable[np.ndarray]) -> np.ndarray | None:
        """Return the predicted ego-motion of a clip, see `Predictions`.

        Args:
            clip: the clip. Lengths are corrected for its focal length, as in prediction.
            images: the image of each of its frames, [H, W, 3].
        """
        if not self.predictor.has_pose:
            return None
        motions = np.stack(list(neighbor_motions(self.predictor, clip, images=images)))
        motions[:, :3, 3] *= match_clip(clip, self.predictor.meta).factor
        return motions

    def untrained(self, clips: Sequence[Clip]) -> frozenset[tuple[str, str]] | None:
        """Return the clip and the name of each frame that was not trained on, see `Predictions`.

        Args:
            clips: the clips that are predicted, all frames of them.
        """
        run = self.predictor.run if isinstance(self.predictor, Predictor) else None
        return None if isinstance(run, Imported) else divided(clips, run, self.predictor.meta).names

    def labels(self, clip: Clip, frames: Sequence[Frame]) -> list[np.ndarray | None]:
        """Return the label map [H, W] of each frame, if label maps guide the depth network.

        Args:
            clip: the clip of the frames. Raises InputError if its label maps have other classes than the training.
            frames: the frames.
        """
        check_guiding_classes(clip, self.predictor.meta.label_classes)
        return [self.predictor.labels(frame.image, frame.semantic) for frame in frames]


class NetworkPredictions(PredictorPredictions[Predictor]):
    """The predictions of a checkpoint's networks."""

    def maps(self, clip: Clip, frames: Sequence[Frame], images: Sequence[np.ndarray]) -> list[FrameMaps]:
        """Return the predicted maps of frames at the network's size, see `Predictions`.

        Args:
            clip: the clip of the frames. Depth is corrected for its focal length, as in prediction.
            frames: the frames, with their label maps if label maps guide the depth network.
            images: the image of each frame, [H, W, 3].
        """
        pixels = [image_tensor(image) for image in images]
        labels = [label_tensor(each) for each in self.labels(clip, frames)]
        maps = self.predictor.maps_of_images(pixels, labels)
        mirrored = self.predictor.maps_of_images(
            [each.flip(-1) for each in pixels], [None if each is None else each.flip(-1) for each in labels]
        )
        factor = match_clip(clip, self.predictor.meta).factor
        rows = {"plain": maps.inv_depth / factor, "flip": maps.fused(mirrored).inv_depth / factor}
        if maps.log_scale is None:
            return _by_frame(rows, {}, len(frames))
        difference = relative_difference(maps.inv_depth, mirrored.inv_depth.flip(-1))
        return _by_frame(rows, {"confidence": maps.log_scale, "flip difference": difference}, len(frames))


class ExportedPredictions(PredictorPredictions[ExportedPredictor]):
    """The predictions of an exported network."""

    def maps(self, clip: Clip, frames: Sequence[Frame], images: Sequence[np.ndarray]) -> list[FrameMaps]:
        """Return the predicted maps of frames at the network's size, see `Predictions`.

        Args:
            clip: the clip of the frames. Depth is corrected for its focal length, as in prediction.
            frames: the frames, with their label maps if label maps guide the depth network.
            images: the image of each frame, [H, W, 3].
        """
        inputs = [image_pixels(image) for image in images], self.labels(clip, frames)
        inv_depth, confidence = self.predictor.network_maps(*inputs)
        mirrored, _ = self.predictor.network_maps(*inputs, mirrored=True)
        factor = match_clip(clip, self.predictor.meta).factor
        rows = {"plain": inv_depth / factor, "flip": fused(inv_depth, mirrored) / factor}
        doubts = {}
        if confidence is not None:
            difference = array_difference(inv_depth, mirrored[..., ::-1])
            doubts = {"confidence": log_scale_of(confidence), "flip difference": difference}
        return _by_frame(_tensors(rows), _tensors(doubts), len(frames))


def _tensors(maps: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Return maps [B, h, w] as tensors [B, 1, h, w] float32."""
    return {name: torch.from_numpy(values.astype(np.float32))[:, None] for name, values in maps.items()}


def _by_frame(rows: dict[str, Tensor], doubts: dict[str, Tensor], count: int) -> list[FrameMaps]:
    """Return the maps [B, 1, h, w] of B frames as those of each."""

    def of(maps: dict[str, Tensor], index: int) -> dict[str, Tensor]:
        return {name: values[index : index + 1] for name, values in maps.items()}

    return [FrameMaps(of(rows, index), of(doubts, index)) for index in range(count)]


class SavedPredictions:
    """The depth that `packdepth predict --save depth` wrote.

    The files are depth/FRAME.npz, or CLIP/depth/FRAME.npz if there are several clips (CLIP is `Clip.short_name`).

    Args:
        folder: the folder that was written.
        example: one of its npz files, which names the origin of the scale.
    """

    flip_note: str | None = None

    def __init__(self, folder: Path, example: Path) -> None:
        self.name, self.folder = str(folder), folder
        self.scale_source = read_unit(example).scale_source

    def ego_motion(self, clip: Clip, images: Iterable[np.ndarray]) -> None:
        """Return None: saved depth holds no motion.

        Args:
            clip: the clip; not used.
            images: the images of its frames; not used.
        """

    def scale_on(self, clips: Sequence[Clip]) -> tuple[bool, str]:
        """Return whether the saved depth is in metres, and its scale in words, see `Predictions`.

        Depth is called metric only if each file says so.

        Args:
            clips: the clips that were predicted. The files of their frames with ground truth are read.
        """
        frames = [(clip, frame) for clip in clips for frame in clip.frames if has_ground_truth(frame)]
        paths = [path for clip, frame in frames if (path := self._path(clip, frame)).exists()]
        units = {path: read_unit(path) for path in paths}
        sources = " and ".join(sorted({unit.scale_source for unit in units.values()}))
        others = [path for path, unit in units.items() if not unit.metric]
        if not others or sources == "none":
            return not others, scale_in_words(not others, sources)
        return False, (
            f"not metric: {len(others)} of {counted(len(units), 'file')} say so, such as {others[0]} (their network is "
            f"not metric, or their camera is too unlike that of its training)"
        )

    def untrained(self, clips: Sequence[Clip]) -> None:
        """Return None: saved depth does not name the frames that its network was trained on.

        Args:
            clips: the clips that were predicted; not used.
        """

    def maps(self, clip: Clip, frames: Sequence[Frame], images: Sequence[np.ndarray]) -> list[FrameMaps]:
        """Return the saved maps [1, 1, H, W] of frames, with inverse depth (1/metres) in the row plain.

        Args:
            clip: the clip of the frames.
            frames: the frames.
            images: the image of each frame, [H, W, 3]. Raises InputError if depth was predicted from another scene, or
                has holes.
        """
        return [self._saved(clip, frame, image) for frame, image in zip(frames, images, strict=True)]

    def _path(self, clip: Clip, frame: Frame) -> Path:
        """Return the file of a frame: in the folder of its clip, or else in that of the only clip."""
        of_clip, of_only_clip = (
            folder / "depth" / f"{frame.name}.npz" for folder in (self.folder / clip.short_name, self.folder)
        )
        return of_clip if of_clip.exists() else of_only_clip

    def _saved(self, clip: Clip, frame: Frame, image: np.ndarray) -> FrameMaps:
        """Return the saved maps of a frame."""
        path = self._path(clip, frame)
        if not path.exists():
            raise InputError(
                f"{path}: not found, nor is it in {self.folder / clip.short_name / 'depth'}; predict all frames of "
                f"{clip.path} with --save depth"
            )
        saved = read_depth(path)
        if saved.thumbnail is not None and shows_other_scene(saved.thumbnail, thumbnail(image)):
            raise InputError(
                f"{path}: was predicted from another image than frame {frame.name} of {clip.path}, of the same name; "
                f"evaluate it on the data that it was predicted from"
            )
        holes = int((~(saved.depth > 0)).sum())
        if holes:
            raise InputError(
                f"{path}: has no depth in {holes} of {saved.depth.size} pixels, as `Prediction.save` cuts them by "
                f"max_depth, reliable or min_confidence; save all pixels, as packdepth predict --save depth does"
            )
        doubts = {} if saved.confidence is None else {"confidence": -torch.from_numpy(saved.confidence)[None, None]}
        return FrameMaps({"plain": 1 / torch.from_numpy(saved.depth)[None, None].clamp(max=1 / MIN_INV_DEPTH)}, doubts)


def open_predictions(checkpoint: str | Path | BasePredictor, runtime: str | None = None) -> Predictions:
    """Return the predictions of a checkpoint, of a predictor, or of saved depth.

    Args:
        checkpoint: a folder that training wrote, another project's checkpoint (see `load`), a file that `packdepth
            export` wrote, a folder of depth that `packdepth predict --save depth` wrote, or a predictor. The folder of
            a checkpoint is one even if depth was saved in it.
        runtime: what computes an exported file, as in `load`; not used for anything else.

    Raises InputError if a path is neither a checkpoint nor saved depth.
    """
    if isinstance(checkpoint, BasePredictor):
        return _of_predictor(repr(checkpoint), checkpoint)
    path = Path(checkpoint)
    if not any((path / name).is_file() for name in CHECKPOINT_FILES):
        saved = min(path.glob("**/depth/*.npz"), default=None)
        if saved is not None:
            return SavedPredictions(path, saved)
    return _of_predictor(str(checkpoint), load(checkpoint, runtime=runtime if is_exported(path) else None))


def _of_predictor(name: str, predictor: BasePredictor) -> Predictions:
    """Return the predictions of a predictor of either kind."""
    if isinstance(predictor, ExportedPredictor):
        return ExportedPredictions(name, predictor)
    assert isinstance(predictor, Predictor)
    return NetworkPredictions(name, predictor)


class SavedUnit(NamedTuple):
    """The unit of the depth of an npz file."""

    metric: bool  # whether depth is in metres
    scale_source: str  # the origin of its scale


class SavedDepth(NamedTuple):
    """The maps of an npz file of depth."""

    depth: np.ndarray  # [H, W] float32
    confidence: np.ndarray | None  # [H, W] float32 in [0, 1]; None if the network predicted none
    thumbnail: np.ndarray | None  # [12, 16] uint8, the image at this size; None in files of version 0.2 and before


def read_unit(path: Path) -> SavedUnit:
    """Read the unit of an npz file that `Prediction.save` wrote, without its depth.

    Args:
        path: the file.

    Raises InputError if it is no such file.
    """
    with refusing(path, SAVED_DEPTH, "predict again"):
        content = read_arrays(path, ("metric", "scale_source"))
        return SavedUnit(bool(content["metric"]), str(content["scale_source"]))


def read_depth(path: Path) -> SavedDepth:
    """Read the maps of an npz file that `Prediction.save` wrote.

    Args:
        path: the file.

    Raises InputError if it is no such file.
    """
    with refusing(path, SAVED_DEPTH, "predict again"):
        content = read_arrays(path, ("depth", "confidence", "thumbnail"))
        return SavedDepth(
            content["depth"].astype(np.float32),
            content["confidence"].astype(np.float32) if "confidence" in content else None,
            content["thumbnail"].astype(np.uint8) if "thumbnail" in content else None,
        )
