"""Maps of a teacher: where they are found, what they hold, how they are resized, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import world
from PIL import Image

from packdepth.config import Augmentation
from packdepth.data.dataset import ClipDataset
from packdepth.data.teacher_maps import TeacherMaps, resized_inv_depth, teacher_maps
from packdepth.depth_files import write_depth_png, write_depth_tiff
from packdepth.errors import InputError
from packdepth.records import Clip
from packdepth.sources.folder import Folder

DEPTH = np.array([[2.0, 4.0], [0.0, 8.0]], dtype=np.float32).repeat(24, 0).repeat(48, 1)
EXPECTED = np.array([[0.5, 0.25], [np.nan, 0.125]]).repeat(24, 0).repeat(48, 1)


@pytest.fixture
def clip(moving_clip: Path) -> Clip:
    (found,) = Folder(root=moving_clip).clips()
    return found


def write_npz(path: Path, **arrays: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


@pytest.mark.parametrize("place", ["moving_clip/depth", "moving_clip", "depth", "."])
def test_maps_are_found_as_predict_writes_them_and_beside_each_other(place: str, clip: Clip, tmp_path: Path) -> None:
    write_npz(tmp_path / place / "000001.npz", depth=DEPTH, metric=True, scale_source="speed")
    maps = teacher_maps(tmp_path, [clip], inverse=False, metric=True)
    np.testing.assert_array_equal(maps(clip, clip.frames[1]), EXPECTED)


def test_with_several_clips_each_has_its_folder(clip: Clip, tmp_path: Path) -> None:
    other = replace(clip, name="folder/other", path=Path("other"))
    write_npz(tmp_path / "000001.npz", depth=DEPTH)
    with pytest.raises(InputError, match=r"has no map for frame 000001 of clip folder/moving_clip \(looked"):
        teacher_maps(tmp_path, [clip, other], False, False).check([(clip, 1)])
    with pytest.raises(InputError, match="would both be in moving_clip; rename"):
        teacher_maps(tmp_path, [clip, replace(clip, path=Path("elsewhere"))], False, False)
    tail = replace(clip, frames=clip.frames[3:])
    assert teacher_maps(tmp_path, [clip, tail], False, False).clips == 1


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_npz(path.with_suffix(".npz"), depth=DEPTH),
        lambda path: write_npz(path.with_suffix(".npz"), depth=np.where(DEPTH > 0, DEPTH, np.nan)),
        lambda path: write_depth_png(path.with_suffix(".png"), DEPTH),
        lambda path: write_depth_tiff(path.with_suffix(".tiff"), DEPTH, {}),
    ],
)
def test_depth_of_zero_or_nan_is_unknown_in_each_format(
    write: Callable[[Path], None], clip: Clip, tmp_path: Path
) -> None:
    write(tmp_path / "000000")
    np.testing.assert_array_equal(TeacherMaps(tmp_path, 1)(clip, clip.frames[0]), EXPECTED)


def test_inverse_maps_are_taken_as_they_are_and_their_zero_is_far(clip: Clip, tmp_path: Path) -> None:
    values = np.array([[0, 70], [65535, 300]], dtype=np.uint16).repeat(24, 0).repeat(48, 1)
    Image.fromarray(values).save(tmp_path / "000000.png")
    write_npz(tmp_path / "000001.npz", inv_depth=values / 7)
    maps = TeacherMaps(tmp_path, 1, inverse=True)
    np.testing.assert_array_equal(maps(clip, clip.frames[0]), values)
    np.testing.assert_allclose(maps(clip, clip.frames[1]), values / 7)


@pytest.mark.parametrize(
    ("arrays", "metric", "sentence"),
    [
        ({"depth": DEPTH[:, :48]}, False, r"is 48x48 pixels, which is not the shape of its image, 96x48"),
        ({"depth": DEPTH, "metric": False}, True, "does not say that its depth is in metres"),
        ({"depth": DEPTH}, True, "does not say that its depth is in metres"),
        ({"depth": 0 * DEPTH}, False, "no pixel is known"),
        ({"depth": DEPTH[None]}, False, r"shape \[1, 48, 96\]"),
        ({"other": DEPTH}, False, "is no npz with an array 'depth'"),
    ],
)
def test_wrong_maps_are_named(arrays: dict[str, Any], metric: bool, sentence: str, clip: Clip, tmp_path: Path) -> None:
    write_npz(tmp_path / "000000.npz", **arrays)
    with pytest.raises(InputError, match=f"000000.npz: .*{sentence}"):
        TeacherMaps(tmp_path, 1, metric=metric).check([(clip, 0)])


def test_other_pictures_and_missing_folders_are_named(clip: Clip, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((48, 96), dtype=np.uint8)).save(tmp_path / "000000.png")
    with pytest.raises(InputError, match=r"000000\.png: is no 16-bit gray PNG"):
        TeacherMaps(tmp_path, 1, inverse=True)(clip, clip.frames[0])
    write_depth_tiff(tmp_path / "000001.tiff", DEPTH, {})
    with pytest.raises(InputError, match=r"000001\.tiff: states no unit, but the teacher is to be metric"):
        TeacherMaps(tmp_path, 1, metric=True)(clip, clip.frames[1])
    with pytest.raises(InputError, match="nowhere: is no folder"):
        teacher_maps(tmp_path / "nowhere", [clip], False, False)


def test_resizing_averages_what_is_known() -> None:
    inv_depth = torch.rand(8, 12)
    assert torch.equal(resized_inv_depth(inv_depth, 8, 12), inv_depth)
    assert (resized_inv_depth(torch.full((8, 12), 0.3), 3, 5) - 0.3).abs().max() < 1e-6
    inv_depth[:, :6] = torch.nan
    small = resized_inv_depth(inv_depth, 4, 6)
    assert small[:, :2].isnan().all()
    assert small[:, 4:].isfinite().all()
    assert small[small.isfinite()].max() <= inv_depth[inv_depth.isfinite()].max()


def test_samples_hold_the_map_and_mirror_it_with_the_image(clip: Clip, tmp_path: Path) -> None:
    for index in range(world.FRAMES):
        write_npz(tmp_path / f"{index:06d}.npz", depth=world.render(index)[1])
    maps = teacher_maps(tmp_path, [clip], False, False)

    def dataset(flip: float) -> ClipDataset:
        augmentation = Augmentation(flip=flip, jitter=None)
        return ClipDataset([clip], (32, 64), (-1, 1), frozenset({"teacher"}), augmentation, teacher=maps)

    plain, mirrored = dataset(0.0)[0], dataset(1.0)[0]
    assert plain.teacher is not None
    assert mirrored.teacher is not None
    assert plain.teacher.shape == (1, 32, 64)
    assert torch.equal(mirrored.image, plain.image.flip(-1))
    assert torch.equal(mirrored.teacher, plain.teacher.flip(-1))
    truth = torch.from_numpy(1 / world.render(1)[1]).float()
    torch.testing.assert_close(plain.teacher[0], resized_inv_depth(truth, 32, 64))
