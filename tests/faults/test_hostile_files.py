"""Files that an attacker made: they read nothing else, run nothing, and take no more memory than they are worth."""

from __future__ import annotations

import io
import json
import resource
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import formats
import numpy as np
import pytest
import torch
from faults import readers
from PIL import Image

from packdepth.errors import InputError
from packdepth.inspection.import_data import import_data
from packdepth.interop.pickles import read_pickle
from packdepth.reading import parse_yaml, read_arrays, read_state
from packdepth.sources import decoding, open_clips
from packdepth.sources.files import inside
from packdepth.sources.stills import image_size, opened, pixels

MEGABYTE = 1024  # in the unit of ru_maxrss on Linux
LITTLE = 150 * MEGABYTE


@pytest.fixture
def dgp(tmp_path: Path) -> Path:
    """A data set whose JSON the tests change."""
    root = tmp_path / "data"
    root.mkdir()
    readers.READERS["dgp"].write(root)
    return root


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# --- other files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../../../secret.jpg", "{secret}", "rgb/../../../secret.jpg", "..\\..\\secret.jpg", "C:/a.png"]
)
def test_a_data_set_names_no_file_outside_of_it(dgp: Path, name: str) -> None:
    secret = dgp.parent / "secret.jpg"
    Image.fromarray(readers.PICTURE).save(secret)
    changed(dgp / "000001" / "scene_a.json", '"rgb/CAMERA_01/1.png"', json.dumps(name.format(secret=secret)))
    with pytest.raises(InputError, match=r"scene_a\.json: names '.*', which lies outside of|is not on disk|not found"):
        import_data(dgp / "ddad.json", dgp.parent / "out")
    assert not list((dgp.parent / "out").rglob("*.jpg"))


def test_the_scenes_and_calibrations_of_a_data_set_lie_in_it(dgp: Path) -> None:
    changed(dgp / "ddad.json", "000001/scene_a.json", "../other/scene_a.json")
    with pytest.raises(InputError, match="lies outside"):
        open_clips(dgp / "ddad.json")
    changed(dgp / "ddad.json", "../other/scene_a.json", "000001/scene_a.json")
    changed(dgp / "000001" / "scene_a.json", '"calibration_key": "c"', '"calibration_key": "../../../c"')
    with pytest.raises(InputError, match="lies outside"):
        open_clips(dgp / "ddad.json")


def test_a_path_inside_is_returned_as_it_is() -> None:
    assert inside(Path("a"), Path("a/b"), "../c.png", "list.txt") == Path("a/b/../c.png")
    with pytest.raises(InputError, match="lies outside of a"):
        inside(Path("a"), Path("a"), "../ab/c.png", "list.txt")


def test_two_images_of_one_name_are_not_written_over_each_other(dgp: Path) -> None:
    (dgp / "000001" / "rgb" / "b").mkdir()
    (dgp / "000001" / "rgb" / "b" / "0.png").write_bytes((dgp / "000001/rgb/CAMERA_01/1.png").read_bytes())
    changed(dgp / "000001" / "scene_a.json", "rgb/CAMERA_01/1.png", "rgb/b/0.png")
    with pytest.raises(InputError, match=r"rgb/b/0\.png: has the name of another frame of .*; rename one of them"):
        import_data(dgp / "ddad.json", dgp.parent / "out")


def test_playlists_and_lists_of_files_are_no_videos(tmp_path: Path) -> None:
    video = formats.video(tmp_path / "a.ts", [np.zeros((64, 96, 3), np.uint8)] * 5, "mpeg2video", rate=25)
    assert decoding.probe(video).frames == 5
    texts = {
        "hls.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{video}\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile '{video}'\n",
        "sdp.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5000 RTP/AVP 96\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="is no video that can be opened"):
            decoding.probe(tmp_path / name)
    with pytest.raises(InputError, match="not found"):
        decoding.probe(Path(f"concat:{video}"))


def test_a_title_in_an_unknown_encoding_is_no_reason_to_refuse_a_video(tmp_path: Path) -> None:
    video = formats.video(tmp_path / "a.mkv", [np.zeros((64, 96, 3), np.uint8)] * 5)
    content = video.read_bytes()
    assert b"Lavf" in content
    video.write_bytes(content.replace(b"Lavf", b"\xff\xfe\xfd\xfc"))
    assert decoding.probe(video).frames == 5


def test_an_image_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow hands EPS to Ghostscript."""
    import subprocess

    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n")
    monkeypatch.setattr(subprocess, "check_call", lambda *_, **__: pytest.fail("a program was started"))
    with pytest.raises(InputError, match="is not an image that can be read"):
        pixels(path, "RGB")


# --- sizes ------------------------------------------------------------------------------------------------------


def bomb(path: Path, width: int, height: int) -> Path:
    """Write a black PNG row by row, which a small file holds."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, parts = zlib.compressobj(9), []
    for _ in range(height):
        parts.append(packer.compress(bytes(1 + 3 * width)))
    data = b"".join(parts) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def test_an_image_that_unpacks_to_gigabytes_is_refused_before_it_does(tmp_path: Path) -> None:
    path = bomb(tmp_path / "a.png", 10_000, 5_000)
    assert path.stat().st_size < 200_000
    before = peak()
    for read in (image_size, lambda file: pixels(file, "RGB"), opened):
        with pytest.raises(InputError, match=r"packs 50 million pixels into \d+ bytes, as no camera does"):
            read(path)
    assert peak() - before < LITTLE


@pytest.mark.parametrize("size", [(1, 64), (64, 1), (1, 1)])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "tif", "ppm"])
def test_an_image_one_pixel_high_is_an_image(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", size).save(path)
    assert image_size(path) == size[::-1]
    assert pixels(path, "RGB").shape == (*size[::-1], 3)


def test_aliases_of_yaml_do_not_multiply() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    with pytest.raises(InputError, match=r"run\.yaml: holds more than 100000 values, by aliases"):
        parse_yaml("\n".join(lines), "run.yaml")
    merged = ["a0: &a0 {b: 1}"] + [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 9)]
    with pytest.raises(InputError, match="by aliases"):
        parse_yaml("\n".join(merged), "run.yaml")
    with pytest.raises(InputError, match="by aliases"):
        parse_yaml("a: &a [1, *a]", "run.yaml")
    assert parse_yaml("a: &a {b: 1}\nc: {<<: *a, d: 2}", "run.yaml") == {"a": {"b": 1}, "c": {"b": 1, "d": 2}}


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("fx: 60\nfy: 60\nfx: 90", 3, "fx"),
        ("training: {epochs: 2}\ndata: {}\ntraining: {epochs: 4}", 3, "training"),
        ("objective:\n- {kind: velocity, weight: 1,\n   weight: 2}", 3, "weight"),
        ('{"fx": 60, "fx": 90}', 1, "fx"),
        ("a: &a {b: 1,\n b: 2}\nc: *a", 2, "b"),
    ],
)
def test_of_a_key_that_is_there_twice_none_is_taken(text: str, line: int, key: str) -> None:
    with pytest.raises(InputError, match=rf"^run\.yaml: line {line}: '{key}' is there a second time"):
        parse_yaml(text, "run.yaml")


def test_equal_keys_of_different_blocks_are_different_keys() -> None:
    text = "a: &a {b: 1}\nb: [{b: 1}, {b: 2}]\nc: {<<: *a, b: 2}"
    assert parse_yaml(text, "run.yaml") == {"a": {"b": 1}, "b": [{"b": 1}, {"b": 2}], "c": {"b": 2}}


@pytest.mark.parametrize(
    "text",
    [
        "a: 2026-99-99",
        "a: !!int x",
        "a: !!timestamp x",
        "a: " + "9" * 5000,
        "a: " + "[" * 3000,
        "? [a]\n: 1",
        "a: !!python/name:os.system x",
        "a: !!binary ä",
    ],
)
def test_yaml_of_wrong_values_is_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"^run\.yaml: is not valid YAML: "):
        parse_yaml(text, "run.yaml")


def test_an_array_is_not_larger_than_its_file_says(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("points.npy", header.getvalue())
    before = peak()
    with pytest.raises(InputError, match="its header announces float64"):
        read_arrays(path, ["points"])
    assert peak() - before < LITTLE


def test_objects_in_arrays_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, points=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match=r"it holds objects of Python \(object \[1\]\), which are never read"):
        read_arrays(path, ["points"])


def test_a_checkpoint_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.ckpt", tmp_path / "packed.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(2_000_000)}}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert read_pickle(plain)["state_dict"]["a"].shape == (2_000_000,)
    with pytest.raises(InputError, match=r"unpacks to \d+ bytes, \d+ times its size"):
        read_pickle(packed)


def test_a_tensor_of_strides_of_zero_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(1).expand(10**9)}}, path)
    with pytest.raises(InputError, match="holds tensors of fewer values than their sizes claim"):
        read_pickle(path)


# --- states of trainings ----------------------------------------------------------------------------------------


def state(path: Path) -> Path:
    network = torch.nn.Linear(30, 30)
    torch.save({"epoch": 1, "state_dict": network.state_dict()}, path)
    return path


def test_a_state_with_one_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = state(tmp_path / "trainer.ckpt")
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        (weights,) = (info for info in archive.infolist() if info.file_size == 30 * 30 * 4)
    for at in (weights.header_offset + 200, weights.header_offset + 2000):
        flipped = bytearray(content)
        flipped[at] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(InputError, match="another checksum; copy it again"):
            read_state(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"hello", "half", "list"])
def test_a_state_that_is_none_is_one_sentence(tmp_path: Path, content: bytes | str) -> None:
    path = state(tmp_path / "trainer.ckpt")
    if content == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif content == "list":
        torch.save([1, 2], path)
    else:
        path.write_bytes(bytes(content))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"trainer\.ckpt: cannot be read \(.*\); it should be the state of a training"):
        read_state(path)


# --- models of others -------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_nothing_of_a_model_is_executed_nor_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto_map` names code that comes with a model; transformers would ask the user whether to run it."""
    from packdepth.networks.hub import ModelRecord, on_this_machine, read_config
    from packdepth.segmentation.transformers_network import load_pretrained

    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("the user was asked"))
    mark = tmp_path / "mark"
    (tmp_path / "code.py").write_text(f"open({str(mark)!r}, 'w')\nclass C: pass\n")
    names = ("AutoConfig", "AutoModelForSemanticSegmentation")
    config: dict[str, Any] = {
        "model_type": "evil",
        "architectures": ["AutoModelForSemanticSegmentation"],
        "auto_map": dict.fromkeys(names, "code.C"),
    }
    for model_type in ("evil", "segformer"):
        (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": model_type}))
        with pytest.raises(InputError):
            load_pretrained(str(tmp_path))
    assert not mark.exists()
    with (
        on_this_machine(),
        pytest.raises(InputError, match="a model that the checkpoint names, and is not on this machine"),
    ):
        read_config("somebody/something")
    record = ModelRecord(
        config={"model_type": "glpn", "attn_implementation": "evil/kernel", "auto_map": {}},
        mean=(0, 0, 0),
        std=(1, 1, 1),
    )
    assert record.config == {"model_type": "glpn"}
