"""Files that cannot be trusted: what is allowed arrives, everything else is refused by name and never runs."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.serialization import MAGIC_NUMBER

import packdepth
from packdepth.errors import InputError
from packdepth.interop.pickles import read_pickle

from .conftest import CfgNode, Config, importable, save


class Call:
    """Is pickled as the call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.call


def refusal(path: Path) -> str:
    """The one sentence with which a file is refused."""
    with pytest.raises(InputError) as error:
        packdepth.load(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that exists once a malicious file has had its way."""
    return tmp_path / "pwned"


@pytest.fixture
def system(marker: Path) -> Call:
    return Call(os.system, f"touch {marker}")


def test_the_malice_works(marker: Path, system: Call, tmp_path: Path) -> None:
    torch.load(save({"state_dict": system}, tmp_path / "evil.ckpt"), weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda evil: evil,
        lambda evil: {"state_dict": OrderedDict(a=torch.ones(3)), "config": CfgNode({"model": {"name": evil}})},
        lambda evil: {"state_dict": OrderedDict([("a", torch.ones(3)), ("b", [(evil,)])])},
        lambda evil: {"config": Config({"arch": {"x": evil}})},
        lambda evil: {evil: 1},
    ],
    ids=["bare", "config", "state_dict", "vidar", "key"],
)
def test_a_command_is_refused_and_does_not_run(
    wrap: Callable[[Call], object], legacy: bool, marker: Path, system: Call, tmp_path: Path
) -> None:
    message = refusal(save(wrap(system), tmp_path / "evil.ckpt", legacy))
    assert f"names {os.system.__module__}.system, which" in message
    assert not marker.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_plain_pickle_is_refused_by_name(protocol: int, marker: Path, system: Call, tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"state_dict": system}, protocol=protocol))
    assert f"names {os.system.__module__}.system, which" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:  # as torch.save packs it
        archive.writestr("evil/data.pkl", pickle.dumps({"state_dict": system}, protocol=protocol))
    assert f"names {os.system.__module__}.system, which" in refusal(path)
    assert not marker.exists()


@pytest.mark.parametrize("place", range(5))
def test_each_pickle_of_the_legacy_format_is_looked_at(place: int, marker: Path, system: Call, tmp_path: Path) -> None:
    pickles: list[object] = [MAGIC_NUMBER, 1001, {}, {"state_dict": {}}, []]
    pickles[place] = system
    path = tmp_path / "evil.pth.tar"
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in pickles))
    assert f"names {os.system.__module__}.system, which" in refusal(path)
    assert not marker.exists()


def test_a_command_under_its_usual_name(marker: Path, tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(f"cos\nsystem\n(S'touch {marker}'\ntR.".encode())
    assert "names os.system, which" in refusal(path)
    assert not marker.exists()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_torchs_own_ways_to_unpickle_more_are_refused(legacy: bool, marker: Path, system: Call, tmp_path: Path) -> None:
    inner = io.BytesIO()
    torch.save(system, inner)
    tricks = {
        "torch.storage._load_from_bytes": Call(torch.storage._load_from_bytes, inner.getvalue()),
        "torch.serialization.load": Call(torch.load, str(tmp_path / "other"), "cpu", None),
        "torch._utils._rebuild_wrapper_subclass": Call(torch._utils._rebuild_wrapper_subclass, Call, torch.float32),
        "__builtin__.eval": Call(eval, "1"),
        "__builtin__.getattr": Call(getattr, OrderedDict(), "clear"),
        "torch.nn.modules.linear.Linear": torch.nn.Linear(1, 1),
    }
    for name, trick in tricks.items():
        assert f"names {name}, which" in refusal(save({"state_dict": {"a": trick}}, tmp_path / "evil", legacy))
    assert not marker.exists()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_what_is_allowed_arrives(legacy: bool, tmp_path: Path) -> None:
    base = torch.arange(12.0).view(3, 4)
    tensors = {
        "a": base,
        "b": base[1:, 2:],  # a view
        "half": base.half(),
        "bfloat16": base.bfloat16(),
        "count": torch.tensor(3),
        "parameter": torch.nn.Parameter(base + 1),
        "none": torch.zeros(0, 3),
    }
    plain = {"epoch": 3, "lr": 1e-4, "text": "ä", "big": 2**70, "list": [1, (2, None)], "set": {1}, "flag": True}
    content = {"config": CfgNode({"x": {"y": (1, 2)}}), "cfg": Config({"x": {"y": 5}}), "state_dict": tensors, **plain}
    back = read_pickle(save(content, tmp_path / "file.ckpt", legacy))
    assert back["config"]["x"]["y"] == (1, 2)
    assert back["cfg"]["x"]["y"] == 5
    assert {name: back[name] for name in plain} == plain
    for name, tensor in tensors.items():
        assert back["state_dict"][name].dtype == tensor.dtype
        assert torch.equal(back["state_dict"][name], tensor)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_refused(share: float, legacy: bool, tmp_path: Path) -> None:
    path = save({"config": CfgNode({"a": 1}), "state_dict": {"a": torch.ones(1000)}}, tmp_path / "file.ckpt", legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    message = refusal(path)
    assert "is damaged or no checkpoint (" in message
    assert message.endswith("); get it again as a whole")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_a_damaged_byte_is_one_sentence_at_worst(
    tmp_path_factory: pytest.TempPathFactory, legacy: bool, place: float, byte: int
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "file.ckpt"
    save({"config": CfgNode({"a": 1}), "state_dict": {"a": torch.ones(2)}}, path, legacy)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] = byte
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        read_pickle(path)


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))


def script(path: Path) -> None:
    """What torch takes for an archive of TorchScript, which is code."""
    save({"state_dict": {"a": torch.ones(1)}}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{path.stem}/constants.pkl", pickle.dumps((), protocol=2))


def other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "nothing")


@pytest.mark.filterwarnings("ignore:.*TorchScript archive")
@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda path: path.write_text("once upon a time\n"), "is damaged or no checkpoint"),
        (lambda path: path.write_text("<html>404</html>"), "is damaged or no checkpoint"),
        (lambda path: path.write_bytes(bytes(range(256))), "is damaged or no checkpoint"),
        (lambda path: path.write_bytes(pickle.dumps({"state_dict": {}})), "was not written by torch.save"),
        (script, "is damaged or no checkpoint"),
        (lambda path: save([torch.ones(1)], path), "holds no weights of a network"),
        (lambda path: save({"state_dict": {}}, path), "holds no weights of a network"),
        (lambda path: save({"state_dict": None}, path), "holds no weights of a network"),
        (lambda path: save({"state_dict": {"fc.weight": torch.ones(1)}}, path), "holds no depth network"),
        (tar, "is damaged or no checkpoint"),
        (other_zip, "was not written by torch.save"),
    ],
    ids=["text", "html", "bytes", "pickle", "script", "list", "empty", "none", "other", "tar", "zip"],
)
def test_what_is_no_checkpoint_is_refused(write: Callable[[Path], object], expected: str, tmp_path: Path) -> None:
    write(tmp_path / "file.ckpt")
    assert expected in refusal(tmp_path / "file.ckpt")


def test_the_writer_needs_what_the_reader_does_not() -> None:
    with pytest.raises(ImportError):
        import yacs.config
    with importable():
        import yacs.config  # noqa: F401
