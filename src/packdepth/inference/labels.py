"""`packdepth semantics label`: the classes that a segmentation network sees, as label maps of clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import yaml

from packdepth.checkpoint import META, replaced
from packdepth.config import FpnSemantics, TransformersSemantics
from packdepth.errors import InputError
from packdepth.files import replacing, write_image
from packdepth.inference.predictor import image_tensor
from packdepth.networks.build import semantic_network
from packdepth.progress import progress
from packdepth.sources.folder import Folder


def label(source: Path, network: str) -> list[Path]:
    """Write `semantic/` into clip folders: an 8-bit PNG of class ids for each frame, at the image's own resolution.

    `semantic.yaml` beside it names the network and its classes, by id.

    Args:
        source: a clip's folder, or a folder of them.
        network: a checkpoint of `packdepth semantics train`, or a model of transformers by its name or folder.

    Returns:
        The folders of label maps. Raises InputError, before anything is written, for a clip that has labels already.
    """
    clips = Folder(kind="folder", root=source).clips()
    for clip in clips:
        if (clip.path / "semantic").exists():
            raise InputError(f"{clip.path / 'semantic'}: exists already; remove it to label this clip again")
    folder = Path(network)
    segment = semantic_network(
        FpnSemantics(kind="fpn", checkpoint=folder)
        if (folder / META).is_file()
        else TransformersSemantics(kind="transformers", model=network)
    ).eval()
    for clip in clips:
        with replaced(clip.path / "semantic") as temporary, torch.inference_mode():
            for frame in progress(clip.frames, clip.name, len(clip.frames)):
                ids = segment.labels(image_tensor(frame.image.read()))[0]
                write_image(temporary / f"{frame.name}.png", ids.numpy().astype(np.uint8))
        with replacing(clip.path / "semantic.yaml") as temporary:
            temporary.write_text(yaml.safe_dump({"network": network, "classes": list(segment.classes)}))
    return [clip.path / "semantic" for clip in clips]
