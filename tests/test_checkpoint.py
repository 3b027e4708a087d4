"""Checkpoints: written whole or not at all, read back equal, refused in one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from described import described
from safetensors.torch import save_file

from packdepth import checkpoint, disk
from packdepth.checkpoint import (
    META,
    RUN,
    WEIGHTS,
    CalibrationRecord,
    Checkpoint,
    LearnedCamera,
    ScaleCheck,
    TrainedCamera,
    is_metric,
)
from packdepth.config import parse_run
from packdepth.disk import recover
from packdepth.errors import InputError


def made(step: int = 7) -> Checkpoint:
    """A small checkpoint that tells its step."""
    run = parse_run(
        {
            "data": {"train": [{"kind": "kitti_odometry", "root": "/k", "sequences": ["06"]}], "image_size": [96, 320]},
            "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
            "objective": [{"kind": "photometric"}],
            "training": {"epochs": 2},
        },
        "test",
    )
    meta = described(step=step, scores={"abs_rel": 0.1})
    weights = {
        "depth.weight": torch.arange(6.0).view(2, 3).T + step,  # not contiguous
        "depth.count": torch.tensor(3),
        "pose.bias": torch.ones(2, dtype=torch.bfloat16),
    }
    return Checkpoint(run, meta, weights)


@pytest.mark.parametrize(
    ("source", "ratio", "words"),
    [("none", 1.0, "depth is up to a factor"), ("velocity (speed)", 0.3, "motion is 30 % of the measured length")],
)
def test_metres_that_its_own_measurements_deny_are_no_metres(
    tmp_path: Path, source: str, ratio: float, words: str
) -> None:
    folder = tmp_path / "best"
    checkpoint.write(folder, made())
    meta = json.loads((folder / META).read_text())
    check = {"source": "speed", "ratio": ratio, "spread": 0.1, "frames": 40, "held_out": True}
    meta |= {"metric": True, "scale_source": source, "scale_checks": [check]}
    (folder / META).write_text(json.dumps(meta))
    with pytest.raises(InputError, match=f"meta.json: metric: is true, but .*{words}.*; write false, then correct"):
        checkpoint.read_description(folder)


def test_a_calibration_has_its_own_limits(tmp_path: Path) -> None:
    check = ScaleCheck(source="speed", ratio=0.87, spread=0.1, frames=60, held_out=True)  # a third left out
    record = CalibrationRecord(source="speed", factor=2.0, motion_factor=2.0, spread=0.1, frames=60, data="drive")
    meta = made().meta.model_copy(
        update={"metric": True, "scale_source": "speed, calibrated", "scale_checks": [check], "calibration": record}
    )
    checkpoint.write(tmp_path / "best", replace(made(), meta=meta))
    assert checkpoint.read(tmp_path / "best").meta.metric


def hidden(folder: Path) -> list[str]:
    """What has been left beside a checkpoint."""
    return [path.name for path in folder.parent.iterdir() if path != folder]


def test_a_checkpoint_returns_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "best"  # parents are made
    checkpoint.write(folder, made())
    back = checkpoint.read(folder)
    assert (back.run, back.meta) == (made().run, made().meta)
    assert checkpoint.read_description(folder) == (made().run, made().meta)
    assert back.weights.keys() == made().weights.keys()
    for name, weight in made().weights.items():
        assert back.weights[name].dtype == weight.dtype
        assert torch.equal(back.weights[name], weight)
    assert sorted(path.name for path in folder.iterdir()) == sorted([META, RUN, WEIGHTS])
    assert hidden(folder) == []


def test_a_checkpoint_can_be_read_by_others(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "best", made())
    assert (tmp_path / "best").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "best" / WEIGHTS).stat().st_mode & 0o777 == 0o644  # as under the usual umask
    assert json.loads((tmp_path / "best" / META).read_text())["scale_source"] == "velocity (speed)"


def test_a_flipped_bit_in_weights_is_noticed(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "best", made())
    path = tmp_path / "best" / WEIGHTS
    content = path.read_bytes()
    numbers = 8 + int.from_bytes(content[:8], "little")  # what is before are names, types and shapes
    for place in range(numbers, len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            with pytest.raises(InputError, match=f"{WEIGHTS}: cannot be read .its numbers are not those that were"):
                checkpoint.read(tmp_path / "best")


def test_weights_that_another_program_wrote_hold_no_checksum(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "best", made())
    others = {name: 2 * weight for name, weight in made().weights.items()}
    save_file({name: weight.contiguous() for name, weight in others.items()}, tmp_path / "best" / WEIGHTS)
    assert torch.equal(checkpoint.read(tmp_path / "best").weights["depth.weight"], others["depth.weight"])


def test_extra_files_take_their_place_with_the_rest(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "best", made(), extra=lambda folder: (folder / "trainer.ckpt").touch())
    assert (tmp_path / "best" / "trainer.ckpt").exists()
    checkpoint.write(tmp_path / "best", made())
    assert not (tmp_path / "best" / "trainer.ckpt").exists()  # the old folder is replaced, not filled up


def test_the_new_replaces_the_old(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoint.write(tmp_path / "best", made(step))
        assert checkpoint.read(tmp_path / "best").meta.step == step
        assert checkpoint.read(tmp_path / "best").weights["depth.weight"][0, 0] == step
        assert hidden(tmp_path / "best") == []


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("exists", [True, False], ids=["over an old one", "the first"])
def test_a_failure_leaves_what_was_there(tmp_path: Path, exists: bool, error: type[BaseException]) -> None:
    folder = tmp_path / "best"
    if exists:
        checkpoint.write(folder, made(1))

    def fail(temporary: Path) -> None:
        assert (temporary / WEIGHTS).exists()
        raise error("no space left")

    with pytest.raises(error):
        checkpoint.write(folder, made(2), extra=fail)
    assert folder.exists() == exists
    assert hidden(folder) == []
    if exists:
        assert checkpoint.read(folder).meta.step == 1


def test_a_failure_in_the_last_step_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "best"
    checkpoint.write(folder, made(1))
    rename = Path.rename

    def failing(source: Path, target: Path) -> Path:
        if target == folder and disk.OLD not in source.name:  # the new one, on its way to its place
            raise OSError("the disk is gone")
        return rename(source, target)

    monkeypatch.setattr(disk, "exchanged", lambda new, old: False)  # as on a disk that cannot
    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        checkpoint.write(folder, made(2))
    assert checkpoint.read(folder).meta.step == 1
    assert hidden(folder) == []


def refusal(folder: Path) -> str:
    """The error of a folder that is no checkpoint: one sentence."""
    with pytest.raises(InputError) as error:
        checkpoint.read(folder)
    message = str(error.value)
    assert "\n" not in message
    assert "pydantic" not in message
    return message


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert refusal(folder).startswith(f"{folder}: is no checkpoint (it lacks {WEIGHTS}, {RUN}, {META}); give ")
    checkpoint.write(tmp_path / "best", made())
    (tmp_path / "best" / RUN).unlink()
    assert refusal(tmp_path / "best").startswith(f"{tmp_path / 'best'}: is no checkpoint (it lacks {RUN}); ")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (WEIGHTS, b"\x10\0\0\0", "{path}: cannot be read ("),
        (WEIGHTS, b"", "{path}: cannot be read ("),
        (RUN, b"data: [", "{folder}: its description cannot be read: "),
        (RUN, b"data: {}\n", "{path}: data.train: is missing"),
        (RUN, b"\xff\xfe\x00", "{folder}: its description cannot be read: "),
        (META, b"{", "{folder}: its description cannot be read: "),
        (META, b"{}", "{path}: packdepth: is missing"),
        (META, b"[]", "{path}: must be a block of keys and values (found a list)"),
        (META, b"\xff\xfe\x00", "{folder}: its description cannot be read: "),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    folder = tmp_path / "best"
    checkpoint.write(folder, made())
    (folder / name).write_bytes(content)
    assert refusal(folder).startswith(expected.format(path=folder / name, folder=folder))


def test_meta_from_a_later_version_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "best"
    checkpoint.write(folder, made())
    content = json.loads((folder / META).read_text()) | {"stepp": 1}
    (folder / META).write_text(json.dumps(content))
    assert refusal(folder) == f"{folder / META}: unknown key 'stepp': did you mean 'step'?"


def test_the_description_takes_no_weights(tmp_path: Path) -> None:
    folder = tmp_path / "best"
    checkpoint.write(folder, made())
    (folder / WEIGHTS).write_bytes(b"")
    assert checkpoint.read_description(folder)[1].step == 7


def test_what_a_kill_in_the_middle_of_writing_left_is_undone(tmp_path: Path) -> None:
    path = tmp_path / "last"
    (tmp_path / ".last-old-abc" / "last").mkdir(parents=True)  # killed between the two renames
    (tmp_path / ".last-old-abc" / "last" / "file").write_text("old")
    (tmp_path / ".last-xyz").mkdir()
    (tmp_path / ".last-xyz" / "file").write_text("half")
    recover(path)
    assert (path / "file").read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["last"]
    (tmp_path / ".last-old-def" / "last").mkdir(parents=True)  # killed after them
    recover(path)
    assert (path / "file").read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["last"]


def test_measured_depth_overrules_lengths_and_the_cameras_height_does_not() -> None:
    lengths = ScaleCheck(source="poses", ratio=0.95, spread=0.1, frames=40, held_out=True)
    depth = ScaleCheck(source="depth", ratio=1.26, spread=0.1, frames=10, held_out=True)
    height = ScaleCheck(source="camera height", ratio=1.3, spread=0.1, frames=10, held_out=True)
    meta = made().meta.model_copy(update={"scale_source": "velocity (poses)"})
    for checks, metric in (([lengths], True), ([lengths, height], True), ([lengths, depth], False), ([height], False)):
        judged = meta.model_copy(update={"scale_checks": checks})
        assert is_metric(judged.scale_source, judged.judged_checks) == metric
    wrong = meta.model_copy(update={"metric": False, "scale_checks": [lengths, depth]})
    assert wrong.scale.startswith("not metric yet: depth is 126 % of the measured depth; train longer")
    few = meta.model_copy(update={"metric": False, "scale_checks": [lengths.model_copy(update={"frames": 3})]})
    assert "only 3 frames could be measured" in few.scale


def test_lengths_on_training_frames_say_why_no_others_were_measured() -> None:
    check = ScaleCheck(source="poses", ratio=0.98, spread=0.06, frames=40, held_out=False)
    meta = made().meta.model_copy(update={"metric": True, "scale_source": "velocity (poses)"})
    for too_few, end in (
        (None, "lengths within 2 % on training frames"),
        (0, "lengths within 2 % on training frames, as none of the held-out ones could be measured"),
        (3, "lengths within 2 % on training frames, as only 3 of the held-out ones could be measured"),
    ):
        checks = [check.model_copy(update={"too_few": too_few})]
        assert meta.model_copy(update={"scale_checks": checks}).scale == f"metric, from velocity (poses); {end}"
    short = check.model_copy(update={"ratio": 0.6, "too_few": 0})
    words = meta.model_copy(update={"metric": False, "scale_checks": [short]}).scale
    assert "length on training frames, as none of the held-out ones could be measured; train longer" in words


@pytest.mark.parametrize(
    ("spread", "words"),
    [
        (0.1, "metric, from velocity (speed); lengths within 2 %"),
        (0.12, "metric, from velocity (speed); lengths within 2 % on average, 12 % from frame to frame"),
        (
            0.6,
            "not metric yet: motion is 102 % of the measured length on average, and varies by 60 % from frame to frame",
        ),
    ],
)
def test_lengths_that_vary_from_frame_to_frame_say_so_and_are_no_metres(spread: float, words: str) -> None:
    check = ScaleCheck(source="speed", ratio=1.02, spread=spread, frames=40, held_out=True)
    metric = is_metric("velocity (speed)", [check])
    meta = made().meta.model_copy(
        update={"metric": metric, "scale_source": "velocity (speed)", "scale_checks": [check]}
    )
    assert metric is words.startswith("metric")
    assert meta.scale == (words if metric else f"{words}; train longer")


def test_metres_of_lengths_that_vary_were_written_before_and_are_read(tmp_path: Path) -> None:
    check = ScaleCheck(source="speed", ratio=1.02, spread=0.6, frames=40, held_out=True)
    meta = made().meta.model_copy(update={"metric": True, "scale_source": "velocity (speed)", "scale_checks": [check]})
    checkpoint.write(tmp_path / "best", replace(made(), meta=meta))
    read = checkpoint.read(tmp_path / "best").meta
    assert read.metric
    assert read.scale == "metric, from velocity (speed); lengths within 2 % on average, 60 % from frame to frame"


def test_metres_from_the_cameras_height_or_a_baseline_need_a_focal_length() -> None:
    camera = LearnedCamera(width=4, height=2, fx=2, fy=2, cx=1.5, cy=0.5, focal_deviation=0.01)
    guessed = camera.model_copy(update={"focal_deviation": 0.3})
    for source, used, doubtful in (
        ("camera height", camera, False),
        ("camera height", guessed, True),
        ("camera height", guessed.model_copy(update={"assumed": True}), False),  # somebody stated it
        ("velocity (speed)", guessed, False),  # the growth of the image gives depth without the focal length
        ("stereo", camera, False),
        ("stereo", guessed, True),
        ("stereo, calibrated", guessed, True),
        ("stereo, camera height", guessed, True),
        ("stereo_rig", guessed, False),  # a term of somebody's own
        ("velocity (speed), stereo", guessed, False),
        ("points, calibrated", guessed, False),
    ):
        meta = made().meta.model_copy(update={"scale_source": source, "cameras": [used]})
        assert meta.needs_calibration == doubtful
        assert ("calibrate the camera" in meta.scale) == doubtful
        read = checkpoint.Meta(**meta.model_dump() | {"metric": True})  # as packdepth before 0.3 may have written it
        assert read.metric is not doubtful


def test_metres_from_the_cameras_height_are_as_right_as_a_stated_field_of_view() -> None:
    numbers = {"width": 4, "height": 2, "fx": 2, "fy": 2, "cx": 1.5, "cy": 0.5}
    stated = LearnedCamera(**numbers, focal_deviation=0.3, assumed=True)
    check = ScaleCheck(source="camera height", ratio=1.0, spread=0.1, frames=40, held_out=True)
    by_height = {"scale_source": "camera height", "scale_checks": [check], "metric": True}
    for cameras, trained, source, said in (
        ([stated], [], "camera height", True),  # camera: {fov: ...} of the run file
        ([], [TrainedCamera(**numbers, stated=True)], "camera height", True),  # fov=... of the source
        ([], [TrainedCamera(**numbers)], "camera height", False),
        ([], [TrainedCamera(**numbers, stated=True)], "stereo", True),
        ([], [TrainedCamera(**numbers, stated=True)], "velocity (speed)", False),
    ):
        used = {**by_height, "scale_source": source, "cameras": cameras, "trained_cameras": trained}
        assert made().meta.model_copy(update=used).scale.endswith("as right as the stated field of view") == said


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_large_numbers_are_finite_and_others_are_found(dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max if dtype.is_floating_point else 1
    weights = {"large": torch.full((3, 50), largest, dtype=dtype), "none": torch.empty(0, dtype=dtype)}
    assert checkpoint.not_finite(weights) == []
    for value in (float("nan"), float("inf"), -float("inf")) if dtype.is_floating_point else ():
        wrong = torch.zeros(3, 50, dtype=dtype)
        wrong[1, 7] = value
        assert checkpoint.not_finite(weights | {"wrong": wrong}) == ["wrong"]
