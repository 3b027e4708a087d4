"""Reading of files that strangers may have written: each is read, or refused in one sentence, and nothing else.

The readers of all formats open their files here, where sizes are checked before memory is taken. Nothing in a file is
executed, and no file that another one names is opened.
"""

from __future__ import annotations

import json
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from packdepth.errors import InputError, in_one_line

if TYPE_CHECKING:
    from torch import Tensor

MAX_CLAIMED = 2 * 1024**3  # bytes that tensors of a checkpoint may claim without holding them; PackNet 1A has 0.5 GB
CHECKSUM = "packdepth_crc32"  # the key of the checksum among the metadata of a safetensors file
MAX_REASON = 200  # characters of a library's own message that a sentence quotes
MAX_YAML = 2_000_000  # characters: the calibration with all its views that OpenCV writes has 0.2 million
MAX_NODES = 100_000  # values of a YAML file, those of aliases counted where they are used; run files have hundreds
MAX_ARRAY = 2 * 10**9  # bytes of an array in an npz: a scan of 10 million points has 0.2 billion
MAX_UNPACKED = 10  # times the size of a checkpoint of torch that its parts may have unpacked: torch packs nothing
ZIP = b"PK\x03\x04"  # the first bytes of a zip file
# The loaders in Python: those of libyaml end the process on 100,000 brackets. The second reads every value as text.
Loader = type[yaml.SafeLoader] | type[yaml.BaseLoader]
RUST_PANIC = "PanicException"  # name of the class of what libraries in Rust raise, which is no Exception


@contextmanager
def refusing(where: str | Path, what: str, advice: str = "copy it again") -> Iterator[None]:
    """Turn whatever a library raises for a damaged or hostile file into InputError, one sentence.

    Args:
        where: the file, or the place in it.
        what: description of what it should be, such as "a video".
        advice: what to do, the end of the sentence.

    >>> with refusing("a.bin", "a list of numbers"):
    ...     raise OverflowError("too large")
    Traceback (most recent call last):
    packdepth.errors.InputError: a.bin: cannot be read (too large); it should be a list of numbers: copy it again
    """
    try:
        yield
    except InputError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != RUST_PANIC:
            raise  # an interruption
        if isinstance(error, OSError) and str(error.filename) in (str(where), f"file:{where}"):
            error.filename = None  # the sentence names it
        raise InputError(f"{where}: cannot be read ({reason_of(error)}); it should be {what}: {advice}") from error


def refuse_special(path: Path) -> None:
    """Raise InputError for what is neither a file nor a folder, such as a pipe or a device: reading may never end.

    Args:
        path: file or folder; one that is not there is not refused.

    >>> refuse_special(Path("/dev/null"))
    Traceback (most recent call last):
    packdepth.errors.InputError: /dev/null: is a pipe, a device or a socket; give a file
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # the reader raises the same error, and names the cause
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a pipe, a device or a socket; give a file")


def reason_of(error: BaseException) -> str:
    r"""Return the message of an error of a library in one line, or its class if it has none.

    Args:
        error: the error.

    >>> reason_of(MemoryError())
    'it needs more memory than there is'
    >>> reason_of(ValueError("no such\nthing."))
    'no such thing'
    """
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return in_one_line(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    return in_one_line(" ".join(str(error).split()))[:MAX_REASON].rstrip(". ") or type(error).__name__


# --- texts ------------------------------------------------------------------------------------------------------


def parse_yaml(text: str, where: str | Path, loader: Loader = yaml.SafeLoader) -> Any:
    r"""Return the content of a YAML text of one document; None if it is empty.

    Args:
        text: the text.
        where: the file, for messages.
        loader: the loader.

    Raises InputError for what is no valid YAML, and for what is too large.

    >>> parse_yaml("a: &b [1, 2]\nc: *b", "run.yaml")
    {'a': [1, 2], 'c': [1, 2]}
    """
    documents = parse_yamls(text, where, loader)
    if len(documents) > 1:
        raise InputError(f"{where}: is not valid YAML: it holds {len(documents)} documents; keep one")
    return documents[0] if documents else None


def parse_yamls(text: str, where: str | Path, loader: Loader = yaml.SafeLoader) -> list[Any]:
    """Return the contents of the documents of a YAML text.

    Args:
        text: the text.
        where: the file, for messages.
        loader: the loader.

    Raises InputError for what is no valid YAML, for what is too large, and for a key that a block holds twice.
    """
    if len(text) > MAX_YAML:
        raise InputError(f"{where}: has {len(text)} characters, too many for YAML; keep what packdepth needs")
    try:
        reader = loader(text)
        try:
            contents = []
            while reader.check_node():
                node = reader.get_node()
                assert node is not None
                if _nodes(node, {}) > MAX_NODES:
                    raise InputError(f"{where}: holds more than {MAX_NODES} values, by aliases (*); write them out")
                repeated = _repeated_key(node)
                if repeated is not None:
                    line, key = repeated.start_mark.line + 1, in_one_line(repeated.value)[:MAX_REASON]
                    raise InputError(f"{where}: line {line}: '{key}' is there a second time; remove one of both")
                contents.append(reader.construct_document(node))
            return contents
        finally:
            reader.dispose()
    except InputError:
        raise
    except Exception as error:  # constructors of dates, numbers and tags raise many classes
        message = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        message = in_one_line(message)[: 2 * MAX_REASON]
        raise InputError(f"{where}: is not valid YAML: {message or type(error).__name__}") from error


def _nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values in a node, with those of aliases; a value inside itself counts as too many."""
    if id(node) not in known:
        known[id(node)] = MAX_NODES + 1  # stands while the node's own parts are counted
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        flat = [each for part in parts for each in (part if isinstance(part, tuple) else (part,))]
        known[id(node)] = 1 + sum(_nodes(part, known) for part in flat)
    return known[id(node)]


def _repeated_key(node: yaml.Node) -> yaml.ScalarNode | None:
    """Return the second of two equal keys of a block in a node, of which YAML's loader would take the last one."""
    waiting, known = [node], {id(node)}
    while waiting:
        block = waiting.pop()
        if not isinstance(block, yaml.CollectionNode):
            continue
        seen: set[str] = set()
        for part in block.value:
            key, value = part if isinstance(part, tuple) else (None, part)
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    return key
                seen.add(key.value)
            if id(value) not in known:  # an alias is looked at once
                known.add(id(value))
                waiting.append(value)
    return None


def parse_json(text: str, where: str | Path, what: str) -> Any:
    """Return the content of a JSON text.

    Args:
        text: the text.
        where: the file, for messages.
        what: description of the file, for messages.

    Raises InputError for what is no valid JSON, and for a key that an object holds twice.

    >>> parse_json('{"fx": 60, "fx": 90}', "camera.json", "a camera")
    Traceback (most recent call last):
    packdepth.errors.InputError: camera.json: 'fx' is there a second time; remove one of both
    """

    def content(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in pairs:
            if key in values:
                name = in_one_line(key)[:MAX_REASON]
                raise InputError(f"{where}: '{name}' is there a second time; remove one of both")
            values[key] = value
        return values

    try:
        return json.loads(text, object_pairs_hook=content)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{where}: is no valid JSON ({reason_of(error)}); it should be {what}; copy it again"
        ) from error


# --- arrays -----------------------------------------------------------------------------------------------------


def read_arrays(path: Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Read arrays of an npz file, without pickle. Their sizes are compared with the file's before memory is taken.

    Args:
        path: the file.
        names: names of the arrays; those that the file does not hold are left out.

    Raises InputError for a file that is damaged, too large or no npz.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.npz"
    >>> np.savez(path, points=np.zeros((2, 3)))
    >>> {name: array.shape for name, array in read_arrays(path, ["points", "origin"]).items()}
    {'points': (2, 3)}
    """
    arrays = {}
    refuse_special(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                member = f"{name}.npy"
                if member not in archive.NameToInfo:
                    continue
                size = archive.getinfo(member).file_size
                if size > MAX_ARRAY:
                    raise InputError(f"{path}: '{name}' has {size} bytes unpacked, too many; write it in parts")
                with archive.open(member) as file:
                    _check_header(file, size)
                with archive.open(member) as file:
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    except InputError:
        raise
    except Exception as error:  # what zipfile, zlib and numpy's own parser raise
        raise InputError(f"{path}: is no npz that can be read ({reason_of(error)}); write it again") from error
    return arrays


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays of an npz file, in its order.

    Args:
        path: the file.

    Raises InputError for a file that is damaged or no npz.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.npz"
    >>> np.savez(path, xyz=np.zeros((2, 3)))
    >>> array_names(path)
    ['xyz']
    """
    with refusing(path, "an npz", "write it again"), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def _check_header(file: Any, size: int) -> None:
    """Raise ValueError if an array in npy format has objects, or another size than its header announces."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"npy of version {version}")
    shape, _, dtype = readers[version](file)
    count = 1
    for length in shape:
        count *= int(length)
    if dtype.hasobject:
        raise ValueError(f"it holds objects of Python ({dtype} {list(shape)}), which are never read, and no numbers")
    if min(shape, default=0) < 0 or count * dtype.itemsize != size - file.tell():
        raise ValueError(f"its header announces {dtype} {list(shape)}, which it does not hold")


# --- checkpoints ------------------------------------------------------------------------------------------------


def read_weights_file(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name, after comparing the checksum that packdepth has written to it.

    Args:
        path: the file. One that another program wrote holds no checksum.

    Raises InputError if it cannot be read, or has another checksum.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file

    with refusing(path, "weights in safetensors", "copy it again"):
        weights = load_file(path)
        with safe_open(path, "pt") as file:
            stated = (file.metadata() or {}).get(CHECKSUM)
        if stated is not None and stated != checksum_of(weights):
            raise ValueError("its numbers are not those that were written")
        return weights


def checksum_of(weights: Mapping[str, Tensor]) -> str:
    """Return the CRC-32 of tensors with their names, types and shapes, as 8 hexadecimal digits.

    Args:
        weights: the tensors by name.
    """
    import torch

    found = 0
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        found = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), found)
        found = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, found)
    return f"{found:08x}"


def read_state(path: Path) -> dict[str, Any]:
    """Return the state of a trainer, which `torch.save` wrote, after comparing the checksums that the file holds.

    Args:
        path: the file, in the zip format of torch.

    Raises InputError if it is damaged or no such file. Nothing in it is executed.
    """
    import torch

    with refusing(path, "the state of a training", "take another copy, or train again"):
        refuse_special(path)
        if not zipfile.is_zipfile(path):
            raise ValueError("it was cut off, or torch.save did not write it")
        check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
        return content


def check_archive(path: Path) -> None:
    """Raise InputError if a zip file of `torch.save` is damaged, by its checksums, or would unpack to far more bytes.

    Args:
        path: the file. One of the format before torch 1.6, which is no zip file, passes. Of a zip file that is cut,
            errors are those of zipfile.
    """
    refuse_special(path)
    with path.open("rb") as file:
        if file.read(len(ZIP)) != ZIP:
            return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > MAX_UNPACKED * path.stat().st_size:
            raise InputError(
                f"{path}: unpacks to {unpacked} bytes, {unpacked // path.stat().st_size} times its size, which "
                f"torch.save never does; get it from its author"
            )
        damaged = archive.testzip()
    if damaged is not None:
        raise InputError(f"{path}: is damaged: {in_one_line(damaged)} in it has another checksum; copy it again")


def check_views(content: Any, path: Path) -> None:
    """Raise InputError if tensors in a checkpoint claim, by strides of zero, far more values than the file holds.

    Args:
        content: tensors in dictionaries and lists, nested.
        path: the file, for messages.
    """
    if _claimed(content) > MAX_CLAIMED:
        raise InputError(f"{path}: holds tensors of fewer values than their sizes claim; save it anew")


def _claimed(content: Any) -> int:
    """Return the bytes that tensors claim beyond those that they hold."""
    import torch

    if isinstance(content, torch.Tensor):
        return max(content.numel() * content.element_size() - content.untyped_storage().nbytes(), 0)
    parts = list(content.values()) if isinstance(content, Mapping) else content
    return sum(map(_claimed, parts)) if isinstance(parts, (list, tuple)) else 0
