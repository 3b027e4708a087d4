"""The command `packdepth view`: what paths mean is found here. Importing this takes none of the extra."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from packdepth.checkpoint import META
from packdepth.errors import InputError
from packdepth.files import say_replaced
from packdepth.inference.base import say_flip_note
from packdepth.inference.exported import is_exported
from packdepth.inference.live import ended_by_signals
from packdepth.inference.load import load
from packdepth.inference.options import POINTS, VIEW, PointOptions, ViewOptions
from packdepth.inference.run import last_lines
from packdepth.progress import progress
from packdepth.records import Clip
from packdepth.sharing.address import located
from packdepth.sources.open import open_clips
from packdepth.spelling import KEY_VALUE
from packdepth.viewer.clouds import SUFFIXES
from packdepth.viewer.footage import CloudFootage, Footage, MeasuredFootage, PredictedFootage, SavedFootage

if TYPE_CHECKING:
    from packdepth.networks.semantic_network import SemanticNetwork


def view(
    named: Sequence[str],
    save: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    points: PointOptions = POINTS,
    options: ViewOptions = VIEW,
) -> None:
    """Show frames, their depth and their points on a page until Ctrl-C, or write their map to a file.

    Args:
        named: CHECKPOINT SRC, or PREDICTIONS with or without the SRC that they were predicted for, or SRC alone, whose
            measured depth is then shown; options of the source, each as `key=value`, follow.
        save: a .glb or .ply to write in place of showing anything; None to show it.
        host: address that the page listens at.
        port: port of the page; 0 for any free one.
        points: options of maps.
        options: further options.

    Raises InputError if something named cannot be used, or if the extra `viewer` is not installed.
    """
    points.check()
    if save is None:
        require_viewer()
    elif save.suffix not in (".glb", ".ply"):
        raise InputError(f"{save}: a map is written as .glb or .ply; give a name that ends so")
    footage = open_footage(named, points, options)
    if save is not None:
        _save(footage, save)
        return
    from packdepth.viewer.server import Viewer

    ended = threading.Event()
    with Viewer(footage, host, port) as viewer, ended_by_signals(ended.set):
        print(f"open {viewer.url} in a browser; Ctrl-C ends", flush=True)
        if not viewer.is_local:
            print("anybody in the network can see this page; --host 127.0.0.1 keeps it to you", file=sys.stderr)
        while not ended.is_set():
            viewer.work()


def require_viewer() -> None:
    """Raise InputError unless the extra `viewer` is installed."""
    if importlib.util.find_spec("viser") is None:
        raise InputError("the viewer needs viser: pip install 'packdepth[viewer]'; --save map.glb works without it")


def open_footage(named: Sequence[str], points: PointOptions = POINTS, options: ViewOptions = VIEW) -> Footage:
    """Return what paths name: a clip with predicted or measured depth, or saved predictions.

    Args:
        named: paths and options of the source, as in `view`.
        points: options of maps.
        options: further options.

    Raises InputError, which says what to do, if that is not clear or cannot be read.
    """
    paths = [each for each in named if not KEY_VALUE.match(each)]
    settings = [each for each in named if KEY_VALUE.match(each)]
    if not 1 <= len(paths) <= 2:
        raise InputError(
            f"view: found {len(paths)} paths; give CHECKPOINT SRC, or a folder of predictions, or a clip with measured "
            f"depth"
        )
    first, clip = located(paths[0]), None
    if len(paths) == 2:
        clip = _one_clip(Path(paths[1]), settings, options)
    if _holds_predictions(first):
        if (first / "depth").is_dir():
            return SavedFootage(first, clip, points, _segmentation(options))
        return CloudFootage(first)
    if clip is None:
        if is_exported(first) or (first / META).is_file():
            raise InputError(f"{first}: predicts depth; name what of: packdepth view {first} SRC")
        clips = sorted({file.parent.parent.name for file in first.glob("*/depth/*.npz")})
        if clips:
            raise InputError(
                f"{first}: holds predictions of several clips; name one of them, such as {first / clips[0]}"
            )
        return MeasuredFootage(_one_clip(first, settings, options), points, _segmentation(options))
    predictor = load(first, runtime=options.runtime)
    points.check_confidence(predictor.has_confidence, first)
    say_flip_note(predictor, options.flip)
    footage = PredictedFootage(predictor, clip, options.flip, points, _segmentation(options))
    print("\n".join(last_lines(predictor.meta, [clip], points)))
    return footage


def _holds_predictions(path: Path) -> bool:
    """Return whether a path is a file of points, or a folder to which `predict` wrote points or depth, and no clip."""
    if path.suffix in SUFFIXES and path.is_file():
        return True
    written = any(path.glob("depth/*.npz")) or any(path.glob("cloud/*.ply")) or (path / "map.ply").is_file()
    return written and not (path / "frames").exists()


def _one_clip(path: Path, settings: Sequence[str], options: ViewOptions) -> Clip:
    """Return the one clip at a path. Raises InputError if there are several."""
    clips = open_clips(path, options.kind, settings, options.camera, options.fov)
    if len(clips) > 1:
        names = ", ".join(clip.name for clip in clips[:3]) + (", ..." if len(clips) > 3 else "")
        raise InputError(f"{path}: holds {len(clips)} clips ({names}); give the path or the options of one of them")
    return clips[0]


def _segmentation(options: ViewOptions) -> SemanticNetwork | None:
    """Return the segmentation network that the options name; None if they name none."""
    if options.segmentation is None:
        return None
    from packdepth.segmentation.label import open_segmentation

    return open_segmentation(options.segmentation)


def _save(footage: Footage, path: Path) -> None:
    """Write the map of footage to a file, and print what was written."""
    footage.check_map()
    say_replaced([path])
    try:
        steps = footage.mapping()  # None after each frame, and then the map; a saved one comes at once
        *_, last = progress(islice(steps, len(footage)), "map", len(footage))
        fused = next(steps, last)
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    assert fused is not None
    fused.write(path)
    print(f"map: {path} ({fused.words})")
