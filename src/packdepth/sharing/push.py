"""`packdepth push`: a checkpoint with a model card, in a repository of the Hub, in a folder or in a zip file."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import yaml
from PIL import Image

from packdepth.checkpoint import META, RUN, WEIGHTS, read, read_description
from packdepth.disk import replaced, sweep, unfinished_folder
from packdepth.errors import InputError, in_one_line
from packdepth.files import make_folder, replacing
from packdepth.reading import parse_json, parse_yaml, refusing
from packdepth.sharing.address import ADDRESS, hub, in_words, located, parse_repository
from packdepth.sharing.card import CARD, model_card, read_numbers
from packdepth.sharing.options import CardOptions
from packdepth.sharing.parts import ZIP, check_parts, checksum, pack, parts_of

ABSOLUTE = re.compile(r"(file:)?[/~\\].*|[A-Za-z]:[\\/].*")  # a path of one machine
NEEDED_BY_NETWORKS = "networks"  # part of a run file whose paths the checkpoint may need: they stay
PICTURES = {"PNG": "picture.png", "JPEG": "picture.jpg"}  # name of the card's picture, by its format


def push(checkpoint: str | Path, target: str, options: CardOptions, private: bool = False) -> list[str]:
    """Share a checkpoint with a model card, and return lines about it.

    Only weights in safetensors, run.yaml, meta.json and the card are shared. Paths of this machine in run.yaml and
    meta.json are cut to their last part, those of networks excepted, about which a line is returned.

    Args:
        checkpoint: the folder of the checkpoint.
        target: hf://user/name, or file:// with a folder or a zip file, which must not exist.
        options: options of the card.
        private: whether a new repository of the Hub is private.

    Raises InputError if the checkpoint cannot be read, if there is no such target, or if the Hub refuses.
    """
    folder, match = located(checkpoint), ADDRESS.fullmatch(target)
    scheme, rest = match.groups() if match is not None else ("", "")
    if scheme not in ("hf", "file"):
        raise InputError(f"{target}: is no place to push to; write hf://user/name or file:///absolute/path")
    if scheme == "file" and not target.startswith("file:///"):
        raise InputError(f"{target}: has no absolute path; write file:///, as in file://{Path(rest).absolute()}")
    if not (folder / META).is_file():
        raise InputError(f"{folder}: is no checkpoint of packdepth; packdepth convert makes one of another project's")
    content = read(folder)  # all of it, so that nothing is shared that nobody can load
    check_parts(str(folder), {name: (folder / name).stat().st_size for name in parts_of(folder)})
    numbers = None if options.numbers is None else read_numbers(options.numbers, folder)
    path = Path(f"/{rest}")
    name = parse_repository(rest).id if scheme == "hf" else path.stem
    if scheme == "file":
        sweep(path.parent)
    if scheme == "file" and path.exists():
        raise InputError(f"{target}: exists; name another place, or remove it")
    with _staging(scheme, path) as staged:
        kept = _stage(folder, staged)
        picture = None if options.picture is None else _copy_picture(options.picture, staged)
        run, meta = read_description(staged)
        (staged / CARD).write_text(model_card(name, run, meta, options, numbers, picture), encoding="utf-8")
        if scheme == "hf":
            lines = _to_hub(rest, staged, private)
        elif path.suffix == ZIP:
            lines = _to_zip(path, staged)
        else:
            lines = [f"{path}: {', '.join(sorted(file.name for file in staged.iterdir()))}"]
    size = sum(tensor.numel() for tensor in content.weights.values())
    warnings = [f"{RUN} names {in_one_line(each)}, which everybody can read there" for each in kept]
    return [f"{folder}: {size:,} numbers, depth is {meta.scale}", *lines, *warnings]


@contextmanager
def _staging(scheme: str, path: Path) -> Iterator[Path]:
    """Yield a folder for the parts of a checkpoint: the pushed folder, one beside a zip file, or a temporary one."""
    if scheme == "hf":
        with tempfile.TemporaryDirectory(prefix="packdepth-") as place:
            yield Path(place)
        return
    make_folder(path.parent)
    with unfinished_folder(path) if path.suffix == ZIP else replaced(path) as folder:
        yield folder


def _stage(folder: Path, staged: Path) -> list[str]:
    """Copy the parts of a checkpoint without the paths of this machine, and return those that had to stay."""
    for name in parts_of(folder):
        (staged / name).parent.mkdir(exist_ok=True)
        if name == WEIGHTS or "/" in name:
            shutil.copyfile(folder / name, staged / name)
    values = parse_yaml((folder / RUN).read_text(encoding="utf-8"), folder / RUN)
    short = {key: value if key == NEEDED_BY_NETWORKS else _short(value) for key, value in values.items()}
    (staged / RUN).write_text(yaml.safe_dump(short, sort_keys=False), encoding="utf-8")
    described = parse_json((folder / META).read_text(encoding="utf-8"), folder / META, "a checkpoint's description")
    (staged / META).write_text(json.dumps(_short(described), indent=2) + "\n", encoding="utf-8")
    return sorted(_absolute(values.get(NEEDED_BY_NETWORKS)))


def _short(value: Any) -> Any:
    """Return a value in which every path of this machine is cut to its last part."""
    if isinstance(value, dict):
        return {key: _short(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_short(each) for each in value]
    return PurePath(value).name or "." if isinstance(value, str) and ABSOLUTE.fullmatch(value) else value


def _absolute(value: Any) -> set[str]:
    """Return the paths of this machine in a value."""
    if isinstance(value, (dict, list, tuple)):
        return {path for each in (value.values() if isinstance(value, dict) else value) for path in _absolute(each)}
    return {value} if isinstance(value, str) and ABSOLUTE.fullmatch(value) else set()


def _copy_picture(path: Path, staged: Path) -> str:
    """Copy the picture of the card, and return its name there."""
    with refusing(f"--picture {path}", "a PNG or JPEG"), Image.open(path, formats=list(PICTURES)) as image:
        name = PICTURES[str(image.format)]
    shutil.copyfile(path, staged / name)
    return name


def _to_zip(path: Path, staged: Path) -> list[str]:
    """Write a zip file, and return its checksum as addresses take it."""
    with replacing(path) as temporary:
        pack(temporary, staged, [file.relative_to(staged).as_posix() for file in staged.rglob("*") if file.is_file()])
    address = f"{path.name}#sha256={checksum(path)}"
    return [f"{path}: {path.stat().st_size:,} bytes; its address on the web ends in {address}"]


def _to_hub(rest: str, staged: Path, private: bool) -> list[str]:
    """Upload a folder to a repository of the Hub, and return its address with the commit."""
    repository = parse_repository(rest)
    if repository.revision is not None:
        raise InputError(f"{repository}: names a revision, which a push makes; leave it out")
    api = hub()
    with in_words(repository):
        api.create_repo(repository.id, private=private or None, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository.id, folder_path=staged, commit_message="Checkpoint of packdepth, with its model card"
        )
    return [f"{done.commit_url}", f"packdepth info {repository}@{done.oid}"]
