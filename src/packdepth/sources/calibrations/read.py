"""Recognition of calibration files by their content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from packdepth.errors import InputError
from packdepth.reading import parse_yamls
from packdepth.sources.calibrations.colmap import camera_lines, read_cameras
from packdepth.sources.calibrations.kalibr import camera_names, read_chain
from packdepth.sources.calibrations.matrices import holds_matrix, read_matrices, xml_fields
from packdepth.sources.calibrations.realsense import is_realsense, read_realsense
from packdepth.sources.calibrations.record import Calibration


class _Loader(yaml.SafeLoader):
    """Loader of YAML that also takes OpenCV's matrices."""


def _matrix(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    """Return OpenCV's matrix as a mapping."""
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(None, None, f"!!opencv-{suffix} is no mapping", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("tag:yaml.org,2002:opencv-", _matrix)


def read_calibration(path: Path, text: str, name: str | None) -> Calibration | Any:
    """Return the calibration in a file of another project; the values of the YAML if it is none of these.

    Args:
        path: the file, for messages.
        text: its content.
        name: name of the camera, if the file holds several.

    Raises InputError if the file is no valid YAML or XML, or its calibration cannot be used.
    """
    where = str(path)
    if text.lstrip().startswith("<") and not text.lstrip().startswith("<<"):  # not YAML's key that merges blocks
        return _unnamed(where, name, read_matrices(where, xml_fields(where, text)))
    if camera_lines(text):
        return read_cameras(where, text, name)
    documents = _documents(where, text)
    first: Any = documents[0] if documents else None
    if isinstance(first, Mapping) and camera_names(first):
        return read_chain(where, first, name)
    if isinstance(first, Mapping) and holds_matrix(first):
        found = [read_matrices(where, document) for document in documents if isinstance(document, Mapping)]
        if any(other != found[0] for other in found):
            raise InputError(f"{where}: holds several messages with different calibrations; keep one")
        return _unnamed(where, name, found[0])
    if isinstance(first, Mapping) and is_realsense(first):
        return _unnamed(where, name, read_realsense(where, first))
    if len(documents) > 1:
        raise InputError(f"{where}: is not valid YAML: it holds {len(documents)} documents; keep one")
    return _unnamed(where, name, first)


def _unnamed(where: str, name: str | None, content: Any) -> Any:
    """Return the content of a file with one camera. Raises InputError if a camera was named."""
    if name is not None:
        raise InputError(f"{where}: holds one camera, none of the name '{name}'; leave out #{name}")
    return content


def _documents(where: str, text: str) -> list[Any]:
    """Return the documents of a YAML file that are not empty. OpenCV's header is no valid YAML, and is left out."""
    if text.startswith("%YAML"):
        text = text.partition("\n")[2]
    return [content for content in parse_yamls(text, where, _Loader) if content is not None]
