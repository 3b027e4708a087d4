"""Poses without metres: those of structure from motion and of monocular SLAM are known up to a factor only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from packdepth.progress import counted
from packdepth.records import Clip
from packdepth.sources.calibrations.colmap import camera_lines

MODEL_FILES = ("images.txt", "images.bin", "points3D.txt", "points3D.bin")  # files of a reconstruction by COLMAP


def with_metric_poses(clip: Clip, scale: Literal["metric", "unknown"] | None) -> Clip:
    """Return a clip without poses that are known up to a factor: nothing may take them for metres.

    Args:
        clip: the clip.
        scale: what is said of its poses; None: they are unknown if the calibration is COLMAP's, or if a reconstruction
            lies beside it.
    """
    posed = sum(frame.pose is not None for frame in clip.frames)
    if not posed or scale == "metric" or (scale is None and not _is_reconstructed(clip)):
        return clip
    why = "as is said" if scale == "unknown" else "as COLMAP makes them (pose_scale=metric if they were scaled)"
    note = f"poses: those of {counted(posed, 'frame')} are known up to a factor, {why}, and are not used"
    return replace(
        clip,
        frames=tuple(replace(frame, pose=None) for frame in clip.frames),
        corrected=note if clip.corrected is None else f"{clip.corrected}; {note}",
    )


def _is_reconstructed(clip: Clip) -> bool:
    """Return whether a clip has a calibration of COLMAP, or its model beside the calibration or in its folder."""
    folders = [clip.path] if clip.path.is_dir() else []
    if clip.calibration is not None:
        file = Path(str(clip.calibration[0]).partition("#")[0])
        if file.suffix == ".txt" and file.is_file() and camera_lines(file.read_text(errors="replace")):
            return True
        folders.append(file.parent)
    return any((folder / name).is_file() for folder in folders for name in MODEL_FILES)
