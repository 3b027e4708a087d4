"""Conversion of another project's checkpoint to packdepth's own: `packdepth convert`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from packdepth import checkpoint
from packdepth.errors import InputError
from packdepth.interop.read import is_foreign, read_foreign


def convert(source: Path, output: Path, image_size: tuple[int, int] | None = None) -> None:
    """Write another project's checkpoint as one of packdepth's own.

    Args:
        source: a file of packnet-sfm or vidar, or a folder of monodepth2 or of a depth network of transformers.
        output: the folder to write; it must not exist, or be empty.
        image_size: height and width of the networks' input, in pixels; if left out, the size that the file names.

    Raises InputError if the source cannot be used (see `read_foreign`) or something is in the way of the output.
    """
    if not is_foreign(source):
        checkpoint.read_description(source)  # raises InputError if there is no checkpoint at all
        raise InputError(f"{source}: is packdepth's own checkpoint already; use it as it is")
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(f"{output}: is there already; name a new folder")
    content = read_foreign(source, image_size)
    # Tensors of one storage would be refused: each gets its own.
    weights = {name: tensor.detach().clone() for name, tensor in content.weights.items()}
    checkpoint.write(output, replace(content, weights=weights))
