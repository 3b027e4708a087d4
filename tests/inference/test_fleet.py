"""Lists of inputs, shared by processes of which some die."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import world
import yaml
from PIL import Image

from packdepth.cli import main
from packdepth.errors import InputError
from packdepth.inference.fleet import Item, Manifest, Shard, open_worker, predict_list, read_list
from packdepth.inference.predictor import Predictor
from packdepth.inference.run import Asked, predict

DEPTH = Asked(save="depth")


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Five folders of two images each."""
    paths = [tmp_path / "in" / f"drive{index}" for index in range(5)]
    for index, path in enumerate(paths):
        path.mkdir(parents=True)
        for frame in range(2):
            Image.fromarray(world.picture(index + frame)).save(path / f"{frame}.png")
    return paths


@pytest.fixture
def listed(folders: list[Path], tmp_path: Path) -> Path:
    path = tmp_path / "list.txt"
    path.write_text("# drives of the week\n\n" + "".join(f"{folder}\n" for folder in folders))
    return path


def entries(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "manifest.jsonl").read_text().splitlines()]


def done(output: Path) -> Counter[str]:
    return Counter(entry["name"] for entry in entries(output) if entry["state"] == "done")


def test_shards_share_a_list_and_a_second_run_does_nothing(
    checkpoint_folder: Path, listed: Path, folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    command = ["predict", str(checkpoint_folder), str(listed), "-o", str(output), "--save", "depth"]
    assert main([*command, "--shard", "2/2"]) == 0
    assert done(output) == {"drive1": 1, "drive3": 1}
    assert main([*command, "--shard", "1/2"]) == 0
    assert done(output) == {f"drive{index}": 1 for index in range(5)}
    capsys.readouterr()
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "shard 1/1: 5 inputs in 0 s: 5 done before" in text
    assert "list: 5 of 5 done" in text
    assert "depth is metric, from velocity (speed)" in text
    assert sorted(path.name for path in output.iterdir()) == [*(f"drive{i}" for i in range(5)), "manifest.jsonl"]
    alone = tmp_path / "alone"
    predict(checkpoint_folder, folders[3], alone, "depth")
    for file in ("depth/0.npz", "depth/1.npz"):
        with np.load(alone / file) as one, np.load(output / "drive3" / file) as other:
            np.testing.assert_array_equal(one["depth"], other["depth"])


def test_a_worker_that_is_killed_loses_one_input_which_the_next_one_does(
    checkpoint_folder: Path, listed: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    slow = tmp_path / "slow.py"  # a worker that is slow enough to be killed while it predicts its second input
    slow.write_text(
        "import sys, time\n"
        "from packdepth.cli import main\n"
        "from packdepth.inference.writers.depth import DepthWriter\n"
        "append = DepthWriter.append\n"
        "def slowly(self, name, prediction):\n"
        "    append(self, name, prediction)\n"
        "    time.sleep(60 if 'drive2' in str(self.path) else 0)\n"
        "DepthWriter.append = slowly\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["predict", str(checkpoint_folder), str(listed), "-o", str(output), "--save", "depth"]
    victim = subprocess.Popen([sys.executable, str(slow), *arguments, "--shard", "1/2"], stderr=subprocess.DEVNULL)
    predict_list(checkpoint_folder, listed, output, DEPTH, "2/2")
    deadline = time.monotonic() + 100
    while not list(output.glob(".partial/drive2/depth/*.npz")) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = open_worker(checkpoint_folder, output, DEPTH, "32", None, batch=1)
    assert worker.predict(read_list(listed)[2]) == "elsewhere"  # two processes never predict one input at a time
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    with (output / "manifest.jsonl").open("a") as file:
        file.write('{"input": "half a li')  # a line that a dying process could not finish
    assert not (output / "drive2").exists()
    predict_list(checkpoint_folder, listed, output, DEPTH, "1/2")
    assert Counter(
        json.loads(line)["name"]
        for line in (output / "manifest.jsonl").read_text().splitlines()
        if line.endswith("}") and json.loads(line)["state"] == "done"
    ) == {f"drive{index}": 1 for index in range(5)}
    assert all(len(list((output / f"drive{index}").glob("depth/*.npz"))) == 2 for index in range(5))
    assert not (output / ".partial").exists()


def test_an_input_that_cannot_be_used_fails_and_others_go_on(
    checkpoint_folder: Path,
    listed: Path,
    folders: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output, images = tmp_path / "out", shutil.copytree(folders[1], tmp_path / "kept")
    (folders[1] / "1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"manifest\.jsonl: 1 input of shard 1/1 failed; the file says why"):
        predict_list(checkpoint_folder, listed, output, DEPTH)
    (failed,) = [entry for entry in entries(output) if entry["state"] == "failed"]
    assert failed["name"] == "drive1"
    assert "1.png" in failed["error"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{listed}: taken for a list, whose lines name 5 inputs"
    assert [line for line in lines if line.startswith("failed")] == [f"failed     {failed['error']}"]
    assert failed["error"].count(str(folders[1])) == 1
    assert sum(done(output).values()) == 4
    assert not (output / "drive1").exists()
    shutil.copy(images / "1.png", folders[1] / "1.png")
    predict_list(checkpoint_folder, listed, output, DEPTH)
    assert done(output) == {f"drive{index}": 1 for index in range(5)}


def test_a_full_disk_ends_the_list_in_one_sentence_and_the_same_command_goes_on(
    checkpoint_folder: Path, listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, calls, predict_batch = tmp_path / "out", [0], Predictor.predict_batch

    def full(self: Predictor, *args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return predict_batch(self, *args, **options)

    monkeypatch.setattr(Predictor, "predict_batch", full)
    with pytest.raises(InputError, match=r"out.*: cannot be written: its disk is full \(.* free"):
        predict_list(checkpoint_folder, listed, output, DEPTH)
    assert calls[0] == 2  # no other input is tried
    predict_list(checkpoint_folder, listed, output, DEPTH)
    assert done(output) == {f"drive{index}": 1 for index in range(5)}
    assert not any((output / ".partial").glob("*"))


def test_what_may_pass_is_tried_again(
    checkpoint_folder: Path,
    listed: Path,
    folders: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls, predict_batch = [0], Predictor.predict_batch

    def out_of_memory_once(self: Predictor, *args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise RuntimeError("out of memory")
        return predict_batch(self, *args, **options)

    monkeypatch.setattr(Predictor, "predict_batch", out_of_memory_once)
    predict_list(checkpoint_folder, listed, tmp_path / "out", DEPTH, "1/5")
    states = [(entry["state"], entry["attempt"]) for entry in entries(tmp_path / "out")]
    assert states == [("started", 1), ("failed", 1), ("started", 2), ("done", 2)]
    assert f"failed     {folders[0]} (attempt 1 of 3): out of memory\n" in capsys.readouterr().out


def test_other_options_changed_inputs_and_removed_results_are_not_taken_for_done(
    checkpoint_folder: Path, listed: Path, folders: list[Path], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    predict_list(checkpoint_folder, listed, output, DEPTH, "1/2")
    with pytest.raises(InputError, match=r"manifest\.jsonl: is of another checkpoint or of other options than these"):
        predict_list(checkpoint_folder, listed, output, Asked(save="depth", flip=True), "1/2")
    worker = open_worker(checkpoint_folder, output, DEPTH, "32", None, batch=1)
    first, _, third, *_ = read_list(listed)
    assert worker.is_done(first)
    assert worker.is_done(third)
    (folders[0] / "2.png").write_bytes((folders[0] / "1.png").read_bytes())
    shutil.rmtree(output / "drive2")
    assert not worker.is_done(first)
    assert not worker.is_done(third)


def scaled(camera: Path, factor: float) -> Path:
    """Write the camera of the world, with its focal lengths multiplied by a factor, at a time of change long ago."""
    numbers = {"width": 96, "height": 48, "fx": 60 * factor, "fy": 58 * factor, "cx": 46.0, "cy": 22.5}
    camera.write_text(yaml.safe_dump(numbers))
    os.utime(camera, (1e9, 1e9))  # as a file that was copied with its times
    return camera


@pytest.mark.parametrize(
    "change",
    ["named calibration", "calibration of an option", "sidecar", "new sidecar", "calibration of the folder",
     "image of another size", "image of the same size", "renamed image", "calibration inside", "link to images"],
)  # fmt: skip
def test_an_input_whose_files_or_calibrations_have_changed_is_predicted_again_and_no_other(
    checkpoint_folder: Path, folders: list[Path], tmp_path: Path, change: str
) -> None:
    place, frames, named = tmp_path / "in", folders[0] / "frames", tmp_path / "named.yaml"
    calibrations = {
        "named calibration": named,
        "calibration of an option": named,
        "sidecar": place / "alone.yaml",
        "new sidecar": place / "alone.yaml",
        "calibration of the folder": place / "camera.yaml",
        "calibration inside": folders[0] / "camera.yaml",
    }
    for camera in calibrations.values():
        if change != "new sidecar" or camera.stem != "alone":
            scaled(camera, 1.0)
    frames.mkdir()
    for frame in range(2):
        (folders[0] / f"{frame}.png").rename(frames / f"{frame}.png")
    image = Path(shutil.copy(frames / "0.png", place / "alone.png"))
    if change == "link to images":
        frames.rename(tmp_path / "elsewhere")
        frames.symlink_to(tmp_path / "elsewhere")
    asked = Asked(
        save="depth",
        camera=named if change == "named calibration" else None,
        options=(f"camera={named}",) if change == "calibration of an option" else (),
    )
    path, output = tmp_path / "list.txt", tmp_path / "out"
    path.write_text(f"{image}\n{folders[0]}\n{folders[2]}\n")
    predict_list(checkpoint_folder, path, output, asked)
    worker = open_worker(checkpoint_folder, output, asked, "32", None, batch=1)
    alone, clip, unchanged = read_list(path)
    assert [worker.is_done(each) for each in (alone, clip, unchanged)] == [True] * 3
    if change in calibrations:
        scaled(calibrations[change], 1.1)
    elif change == "renamed image":
        (frames / "1.png").rename(frames / "2.png")
    else:
        content = (frames / "1.png").read_bytes()
        (frames / "1.png").write_bytes(content + b"0" * (change == "image of another size"))
    found = [worker.is_done(each) for each in (alone, clip, unchanged)]
    expected = {
        "named calibration": [False] * 3,
        "calibration of an option": [False] * 3,
        "calibration of the folder": [False] * 3,
        "sidecar": [False, True, True],
        "new sidecar": [False, True, True],
    }
    assert found == expected.get(change, [True, False, True])
    predict_list(checkpoint_folder, path, output, asked)
    assert [worker.is_done(each) for each in (alone, clip, unchanged)] == [True] * 3
    assert done(output) == {item.name: 2 - kept for item, kept in zip((alone, clip, unchanged), found, strict=True)}


def test_a_manifest_of_an_earlier_version_is_read_and_its_inputs_are_predicted_again(
    checkpoint_folder: Path, listed: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    predict_list(checkpoint_folder, listed, output, DEPTH, "1/5")
    manifest = output / "manifest.jsonl"
    older = [entry | ({"stamp": [4096, 1]} if "stamp" in entry else {}) for entry in entries(output)]
    manifest.write_text("".join(f"{json.dumps(entry)}\n" for entry in older))
    predict_list(checkpoint_folder, listed, output, DEPTH, "1/5")
    assert done(output) == {"drive0": 2}


def test_an_output_inside_an_input_does_not_change_it(
    checkpoint_folder: Path, folders: list[Path], tmp_path: Path
) -> None:
    path, output = tmp_path / "list.txt", folders[0] / "out"
    path.write_text(f"{folders[0]}\n")
    predict_list(checkpoint_folder, path, output, DEPTH)
    predict_list(checkpoint_folder, path, output, DEPTH)
    assert done(output) == {"drive0": 1}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_is_read_in_each_encoding_that_editors_write(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text("straße/a.mp4\nb.mp4\n", encoding=encoding)
    assert [item.path for item in read_list(path)] == [Path("straße/a.mp4"), Path("b.mp4")]
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match=r"list\.txt: cannot be read as text .*; it should be a list of inputs"):
        read_list(path)


def test_lists_and_shards_that_cannot_be_used(tmp_path: Path, checkpoint_folder: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a/drive.mp4\nb/drive.mp4\nother.mp4\n")
    assert [item.name for item in read_list(path)] == ["a-drive.mp4", "b-drive.mp4", "other"]
    path.write_text("a.mp4\na.mp4\n")
    with pytest.raises(InputError, match=r"names .*a\.mp4 twice"):
        read_list(path)
    path.write_text("# nothing\n")
    with pytest.raises(InputError, match="names no input"):
        read_list(path)
    for text in ("0/2", "3/2", "1", "a/b"):
        with pytest.raises(InputError, match=f"--shard {text}: is no shard"):
            Shard.parse(text)
    assert sorted(item for index in (1, 2, 3) for item in Shard(index, 3).of(range(10))) == list(range(10))
    video = str(tmp_path / "drive.mp4")
    assert main(["predict", str(checkpoint_folder), video, "-o", str(tmp_path / "out"), "--shard", "1/2"]) == 2


def append_many(path: Path, who: str) -> None:
    manifest = Manifest(path, "job")
    for index in range(40):
        manifest.add(Item(Path("x" * 5000), f"{who}-{index}"), "done")


def test_many_processes_append_to_one_manifest(tmp_path: Path) -> None:
    path, processes = tmp_path / "manifest.jsonl", multiprocessing.get_context("fork")
    workers = [processes.Process(target=append_many, args=(path, who), daemon=True) for who in ("a", "b")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=100)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(Manifest(path, "job").latest()) == 80
    Manifest(path, "job").add(Item(Path("y"), "y"), "failed", error="y: not found")
    assert Manifest(path, "job").latest()["y"]["error"] == "y: not found"


def test_a_folder_of_somebody_else_is_not_replaced(checkpoint_folder: Path, listed: Path, tmp_path: Path) -> None:
    note = tmp_path / "out" / "drive2" / "note.txt"
    note.parent.mkdir(parents=True)
    note.write_text("mine")
    with pytest.raises(InputError, match="drive2: is there already, and is no prediction of this list"):
        predict_list(checkpoint_folder, listed, tmp_path / "out", DEPTH)
    assert note.read_text() == "mine"
    assert not (tmp_path / "out" / "drive0").exists()
