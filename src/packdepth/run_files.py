"""The run files that are part of packdepth: `configs/` of a checkout, and of the installed package."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = Path(__file__).parent / "configs"
_FOLDER = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "configs"


def run_files() -> list[Path]:
    """Return the paths of the run files.

    >>> "kitti_odometry_clip.yaml" in [path.name for path in run_files()]
    True
    """
    return sorted(_FOLDER.rglob("*.yaml"))


def find_run_file(path: Path) -> Path:
    """Return where a run file is: `configs/NAME.yaml` is packdepth's own where no such file exists.

    Args:
        path: as the command line names it, relative to the working directory or absolute.

    >>> find_run_file(Path("configs/kitti_odometry_clip.yaml")).exists()
    True
    >>> find_run_file(Path("mine.yaml"))
    PosixPath('mine.yaml')
    """
    own = _FOLDER.parent / path
    return own if not path.exists() and own in run_files() else path


def describe_run_files() -> str:
    """Return a text that lists the run files, each with the comment at its top, and says where they are."""
    paragraphs = [f"{path.relative_to(_FOLDER.parent)}\n{_comment(path)}" for path in run_files()]
    return "\n\n".join([*paragraphs, f"They are in {_FOLDER}; copy one to change it."])


def _comment(path: Path) -> str:
    """Return the comment at the top of a file, without its marks, indented."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(f"  {line.removeprefix('#').strip()}" for line in lines[:end])
