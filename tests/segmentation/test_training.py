"""Training a segmentation network: it learns, its checkpoint says what, and an interrupted training goes on exactly."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import segmenter
import torch
import yaml
from present import present
from torch import Tensor

from packdepth.cli import main
from packdepth.errors import InputError
from packdepth.segmentation.checkpoint import is_unfinished, read_description
from packdepth.segmentation.dataset import LabeledImages
from packdepth.segmentation.fpn import load_fpn
from packdepth.segmentation.label import label_clips
from packdepth.segmentation.training import train_semantics

FILES = ["meta.json", "run.yaml", "weights.safetensors"]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupt(monkeypatch: pytest.MonkeyPatch, images: int, error: BaseException) -> None:
    """Raise an error in place of the image after so many of them; `monkeypatch.undo` takes it back."""
    read, seen = LabeledImages.__getitem__, []

    def failing(self: LabeledImages, draw: int) -> tuple[Tensor, Tensor]:
        seen.append(draw)
        if len(seen) > images:
            raise error
        return read(self, draw)

    monkeypatch.setattr(LabeledImages, "__getitem__", failing)


def check_equal(one: Path, other: Path) -> None:
    """Compare weights bit by bit, and descriptions."""
    weights, expected = load_fpn(one).state_dict(), load_fpn(other).state_dict()
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(weights[name], value), name
    first, second = (read_description(folder)[1] for folder in (one, other))
    assert first.model_copy(update={"created": second.created}) == second


def test_learns_and_says_how_well(run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["semantics", "train", str(run_file), "--output", str(tmp_path / "out")]) == 0
    meta = read_description(tmp_path / "out")[1]
    assert list(meta.iou) == ["sky", "road"]  # no other class occurs, and what is unlabeled is none
    assert meta.mean_iou == pytest.approx(sum(meta.iou.values()) / 2)
    assert present(meta.mean_iou) > 0.5  # one class everywhere has at most that of its share, and 0 of the other
    assert f"mIoU {meta.mean_iou:.3f} over 2 classes" in capsys.readouterr().out
    assert load_fpn(tmp_path / "out").classes == tuple(meta.classes)
    assert files(tmp_path / "out") == FILES
    with pytest.raises(InputError, match="exists already; name another --output, or remove it"):
        train_semantics(run_file, tmp_path / "out")


def test_a_network_is_loaded_without_the_package_of_its_images(run_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "network"
    train_semantics(run_file, output, ("training.steps=1",))
    content = yaml.safe_load((output / "run.yaml").read_text())
    content["data"]["train"] = [{"kind": "my_images", "place": "images"}]
    (output / "run.yaml").write_text(yaml.safe_dump(content))
    assert read_description(output)[0].data.train[0].model_dump() == {"kind": "my_images", "place": "images"}
    assert load_fpn(output).classes == tuple(read_description(output)[1].classes)


def test_is_the_same_every_time(run_file: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        train_semantics(run_file, tmp_path / name, ("training.steps=2",))
    check_equal(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupted_and_resumed_training_ends_like_one_that_was_not(
    workers: int,
    run_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    options = ("training.steps=7", "training.checkpoint_steps=3")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_semantics(run_file, whole, options)
    reports = [line.split(", ")[:2] for line in capfd.readouterr().err.splitlines()]

    interrupt(monkeypatch, images=2 * 5 + 1, error=OSError("the disk is gone"))  # in the 6th step of 2 images
    with pytest.raises(OSError, match="the disk is gone"):
        train_semantics(run_file, parts, options)
    monkeypatch.undo()
    assert files(parts) == [*FILES[:2], "trainer.ckpt", FILES[2]]
    assert read_description(parts)[1].steps == 3
    assert load_fpn(parts).channels == (8, 8, 8, 8)  # a valid checkpoint, of the first 3 steps
    with pytest.raises(InputError, match="exists already; go on with --resume"):
        train_semantics(run_file, parts, options)

    capfd.readouterr()
    torch.rand(3)  # whatever state torch's random numbers are in
    arguments = [*options[:1], "training.checkpoint_steps=2", f"data.workers={workers}", "--output", str(parts)]
    assert main(["semantics", "train", str(run_file), *arguments, "--resume"]) == 0
    check_equal(parts, whole)
    assert files(parts) == FILES
    assert [line.split(", ")[:2] for line in capfd.readouterr().err.splitlines()] == reports[3:]  # the same losses


def test_a_training_that_is_interrupted_after_its_last_step_is_evaluated_when_resumed(
    run_file: Path, tmp_path: Path, camvid: Path
) -> None:
    options = ("training.steps=2",)
    train_semantics(run_file, tmp_path / "whole", options)
    image = camvid / "val" / "1.png"
    content = image.read_bytes()
    image.write_bytes(content[:60] + bytes(8) + content[68:])  # found when its pixels are read, after the last step
    with pytest.raises(InputError, match=r"1\.png"):
        train_semantics(run_file, tmp_path / "parts", options)
    image.write_bytes(content)
    train_semantics(run_file, tmp_path / "parts", options, resume=True)
    check_equal(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.parametrize(
    ("images", "message"),
    [(3, "no checkpoint was written: nothing is kept"), (5, "holds step 2 of 4")],
)
def test_ctrl_c_says_what_is_kept(
    images: int,
    message: str,
    run_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    interrupt(monkeypatch, images, KeyboardInterrupt())
    options = ["training.steps=4", "training.checkpoint_steps=2", "--output", str(tmp_path / "out")]
    assert main(["semantics", "train", str(run_file), *options]) == 130
    assert message in capsys.readouterr().out
    assert is_unfinished(tmp_path / "out") == (tmp_path / "out").exists() == ("holds" in message)


def test_resuming_needs_the_same_run(run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, options = tmp_path / "out", ("training.steps=2",)
    with pytest.raises(InputError, match="holds no run to go on with; train without --resume"):
        train_semantics(run_file, output, options, resume=True)
    meta = train_semantics(run_file, output, options)
    assert train_semantics(run_file, output, (*options, "data.workers=1"), resume=True) == meta
    assert f"{output}: has finished already" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"was trained with other values of training\.steps, training\.seed;"):
        train_semantics(run_file, output, ("training.steps=3", "training.seed=5"), resume=True)


def test_a_trainer_state_that_is_damaged_or_gone_is_refused(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, options = tmp_path / "out", ("training.steps=2", "training.checkpoint_steps=1")
    interrupt(monkeypatch, images=2, error=OSError("the disk is gone"))
    with pytest.raises(OSError, match="the disk is gone"):
        train_semantics(run_file, output, options)
    state = output / "trainer.ckpt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"trainer\.ckpt: cannot be read"):
        train_semantics(run_file, output, options, resume=True)
    state.unlink()
    with pytest.raises(InputError, match=r"lacks trainer\.ckpt, without which it cannot go on"):
        train_semantics(run_file, output, options, resume=True)


def test_a_loss_that_is_no_number_ends_the_training(run_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the loss of step \d+ is nan; lower training\.learning_rate"):
        train_semantics(run_file, tmp_path / "out", ("training.learning_rate=1e30",))
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_used(run_file: Path, tmp_path: Path, moving_clip: Path) -> None:
    labeled = Path(shutil.copytree(moving_clip, tmp_path / "labeled"))
    label_clips(labeled, str(segmenter.write(tmp_path / "segmenter")))
    with pytest.raises(InputError, match=r"class 0 of its label maps is sky, but road in those of folder/labeled"):
        train_semantics(run_file, tmp_path / "out", (f"data.train=[{{kind: folder, root: {labeled}}}]",))
    unlabeled = f"data.train=[{{kind: folder, root: {moving_clip}}}]"
    with pytest.raises(InputError, match="no frame of this folder data has classes"):
        train_semantics(run_file, tmp_path / "out", (unlabeled, "data.val=[]"))
    with pytest.raises(InputError, match=r"unknown key 'step': did you mean 'steps'"):
        train_semantics(run_file, tmp_path / "out", ("training.step=2",))
    with pytest.raises(InputError, match="is no checkpoint of a segmentation network"):
        read_description(tmp_path)
    assert not (tmp_path / "out").exists()
