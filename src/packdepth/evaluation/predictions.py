"""What is judged: a checkpoint's networks, or depth that was saved before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from packdepth.errors import InputError
from packdepth.geometry.depth import MIN_INV_DEPTH
from packdepth.inference.predictor import Predictor, image_tensor, label_tensor, load
from packdepth.networks.flip import fuse_flipped
from packdepth.records import Clip, Frame


class FromCheckpoint:
    """The networks of a checkpoint."""

    def __init__(self, path: str, predictor: Predictor) -> None:
        self.path, self.predictor = path, predictor
        self.metric, self.scale_source = predictor.meta.metric, predictor.meta.scale_source
        self.ego_motion = None if predictor.pose is None else predictor.ego_motion

    def inv_depths(self, clip: Clip, frame: Frame, image: np.ndarray) -> dict[str, Tensor]:
        """Inverse depth [1, 1, h, w] (1/metres) of an image [H, W, 3] by row, plain and flip."""
        pixels, labels = image_tensor(image), label_tensor(self.predictor.labels(frame.image, frame.semantic))
        inv_depth = self.predictor.inv_depth(pixels, labels)
        of_mirrored = self.predictor.inv_depth(pixels.flip(-1), None if labels is None else labels.flip(-1))
        return {"plain": inv_depth, "flip": fuse_flipped(inv_depth, of_mirrored)}


class FromFolder:
    """What `packdepth predict --save depth` wrote: depth/FRAME.npz, of several clips CLIP/depth/FRAME.npz."""

    ego_motion = None

    def __init__(self, path: str, one: Path) -> None:
        self.path, self.folder = path, Path(path)
        _, self.metric, self.scale_source = read_depth(one)

    def inv_depths(self, clip: Clip, frame: Frame, image: np.ndarray) -> dict[str, Tensor]:
        """Inverse depth [1, 1, H, W] (1/metres) of a frame as it was saved, in the row plain."""
        places = [folder / "depth" / f"{frame.name}.npz" for folder in (self.folder / clip.path.name, self.folder)]
        path = next((place for place in places if place.exists()), None)
        if path is None:
            raise InputError(f"{places[-1]}: not found; predict all frames of {clip.path} with --save depth")
        depth, _, _ = read_depth(path)
        return {"plain": 1 / torch.from_numpy(depth)[None, None].clamp(max=1 / MIN_INV_DEPTH)}


def open_predictions(path: str | Path) -> FromCheckpoint | FromFolder:
    """What is to be judged at `path`. Raises InputError if it is neither a checkpoint nor saved depth."""
    saved = next(Path(path).glob("**/depth/*.npz"), None)
    if saved is not None:
        return FromFolder(str(path), saved)
    return FromCheckpoint(str(path), load(path))


def read_depth(path: Path) -> tuple[np.ndarray, bool, str]:
    """Depth [H, W] of an npz that `write_depth_npz` wrote, whether it is metric, and where its scale comes from."""
    try:
        with np.load(path, allow_pickle=False) as content:
            return content["depth"].astype(np.float32), bool(content["metric"]), str(content["scale_source"])
    except Exception as error:  # numpy raises what zipfile, zlib and its own parser raise
        raise InputError(f"{path}: is no depth that packdepth saved ({error}); predict again") from None
