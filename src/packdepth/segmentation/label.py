"""Label maps of clips, predicted by a segmentation network: `packdepth semantics label`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from packdepth.checkpoint import META
from packdepth.disk import replaced
from packdepth.errors import InputError
from packdepth.files import write_image
from packdepth.networks.semantic_network import SemanticNetwork
from packdepth.progress import progress
from packdepth.segmentation.fpn import FpnSemantics
from packdepth.segmentation.transformers_network import TransformersSemantics
from packdepth.sources.class_list import write_class_list
from packdepth.sources.folder import Folder


def label_clips(source: Path, network: str) -> list[Path]:
    """Write `semantic/` into clip folders: for each frame a PNG of 8-bit class ids, at the resolution of the image.

    `semantic.yaml` beside it holds the name of the network and its classes, by class id.

    Args:
        source: the folder of a clip, or a folder of such folders.
        network: a checkpoint of `packdepth semantics train`, or a model of transformers by its name or folder.

    Returns:
        The folders of the label maps.

    Raises InputError, before anything is written, for a clip that has label maps already.
    """
    clips = Folder(kind="folder", root=source).find()  # as on disk: label maps belong to the images before undistortion
    for clip in clips:
        if (clip.path / "semantic").exists():
            raise InputError(f"{clip.path / 'semantic'}: exists already; remove it to label this clip again")
    segment = open_segmentation(network)
    for clip in clips:
        with replaced(clip.path / "semantic") as temporary:
            for frame in progress(clip.frames, clip.name, len(clip.frames)):
                write_image(temporary / f"{frame.name}.png", labeled(segment, frame.image.read()))
            write_class_list(
                clip.path, segment.classes, network
            )  # first: with the maps in place, nothing is done again
    return [clip.path / "semantic" for clip in clips]


def open_segmentation(network: str) -> SemanticNetwork:
    """Return a segmentation network, ready to label.

    Args:
        network: a checkpoint of `packdepth semantics train`, or a model of transformers by its name or folder.

    Raises InputError if it cannot be loaded.
    """
    folder = Path(network)
    block = (
        FpnSemantics(kind="fpn", checkpoint=folder)
        if (folder / META).is_file()
        else TransformersSemantics(kind="transformers", model=network)
    )
    return block.build().eval()


@torch.inference_mode()
def labeled(network: SemanticNetwork, image: np.ndarray) -> np.ndarray:
    """Return the class ids [H, W] uint8 of an image.

    Args:
        network: the segmentation network.
        image: [H, W, 3] uint8, RGB.
    """
    weight = next(network.parameters(), torch.zeros(1))
    pixels = torch.from_numpy(image.copy()).to(weight.device).permute(2, 0, 1)[None].float() / 255
    return network.labels(pixels)[0].cpu().numpy().astype(np.uint8)
