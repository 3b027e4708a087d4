from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from present import present
from scipy.spatial.transform import Rotation

from packdepth.errors import InputWarning
from packdepth.geometry.lens import BrownConrady
from packdepth.sources.rgbd import Rgbd, read_pose, read_stamped

CAMERA = "width: 40\nheight: 12\nfx: 30\nfy: 30\ncx: 19.5\ncy: 5.5\n"


def source(root: Path, **changes: Any) -> Rgbd:
    return Rgbd(**{"kind": "rgbd", "root": root, "camera": root / "camera.yaml", **changes})


def write_depth(path: Path, value: int) -> None:
    path.parent.mkdir(exist_ok=True)
    values = np.full((12, 40), value, dtype=np.uint16)
    values[0, 0], values[0, 1] = 65535, 0
    Image.fromarray(values).save(path)


def write_rows(path: Path, *rows: Iterable[object]) -> None:
    path.write_text("# a remark\n" + "\n".join(" ".join(map(str, row)) for row in rows) + "\n")


def motion(number: int) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec([0, 0.1 * number, 0.2]).as_matrix()
    T[:3, 3] = number, 2, 3
    return T


@pytest.fixture
def scenes(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """A sequence in the layout of 7-Scenes, of which frame 2 is missing."""
    folder = tmp_path / "chess/seq-01"
    for number in (0, 1, 3):
        write_image(folder / f"frame-{number:06d}.color.png")
        write_depth(folder / f"frame-{number:06d}.depth.png", 1500)
        np.savetxt(folder / f"frame-{number:06d}.pose.txt", motion(number))
    (tmp_path / "chess/camera.yaml").write_text(CAMERA)
    return tmp_path / "chess"


@pytest.fixture
def tum(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """A sequence in the layout of TUM: depth is 4 ms late, the last frame has none and no pose."""
    folder = tmp_path / "rgbd_dataset_freiburg1_xyz"
    times = [10.0, 10.033, 10.066]
    for time in times:
        write_image(folder / f"rgb/{time:.6f}.png")
    write_rows(folder / "rgb.txt", *[(time, f"rgb/{time:.6f}.png") for time in times])
    for time in times[:2]:
        write_depth(folder / f"depth/{time + 0.004:.6f}.png", 10000)
    write_rows(folder / "depth.txt", *[(time + 0.004, f"depth/{time + 0.004:.6f}.png") for time in times[:2]])
    rows = []
    for step in range(5):
        T = motion(step)
        rows.append((10 + 0.01 * step, *T[:3, 3], *Rotation.from_matrix(T[:3, :3]).as_quat()))
    write_rows(folder / "groundtruth.txt", *rows)
    (folder / "camera.yaml").write_text(CAMERA)
    return folder


def test_7_scenes(scenes: Path) -> None:
    (clip,) = source(scenes).clips()
    assert (clip.name, clip.drive) == ("rgbd/chess/seq-01", "chess/seq-01")
    assert [frame.name for frame in clip.frames] == ["frame-000000", "frame-000001", "frame-000003"]
    assert [frame.time for frame in clip.frames] == pytest.approx([0, 1 / 30, 0.1])  # a gap in time
    np.testing.assert_allclose(present(clip.frames[2].pose), motion(3))
    depth = present(clip.frames[0].depth).read()
    assert depth.dtype == np.float32
    assert (depth[0, 0], depth[0, 1], depth[5, 5]) == (0, 0, 1.5)


def test_tum(tum: Path) -> None:
    (clip,) = source(tum).clips()
    assert [frame.name for frame in clip.frames] == ["10.000000", "10.033000", "10.066000"]
    assert [frame.time for frame in clip.frames] == [10.0, 10.033, 10.066]
    assert [frame.depth is None for frame in clip.frames] == [False, False, True]
    assert [frame.pose is None for frame in clip.frames] == [False, False, True]
    np.testing.assert_allclose(present(clip.frames[1].pose), motion(3), atol=1e-9)  # that of 10.03 s
    depth = present(clip.frames[1].depth).read()
    assert (depth[0, 1], depth[5, 5]) == (0, 2.0)


@pytest.mark.parametrize("steps", [1000, 5000])
def test_depth_may_have_another_unit_than_that_of_the_layout(scenes: Path, tum: Path, steps: int) -> None:
    for root, value in ((scenes, 1500), (tum, 10000)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            (clip,) = source(root, depth_steps=steps).clips()
        assert present(clip.frames[0].depth).read()[5, 5] == value / steps
    with pytest.warns(InputWarning, match="5000 for a metre; give depth_steps=1000 if it is in millimetres"):
        source(tum.rename(tum.with_name("own"))).clips()


def test_what_the_calibration_states_reaches_the_clip(scenes: Path, tum: Path) -> None:
    for root, interval in ((scenes, 1 / 30), (tum, 0.033)):
        (clip,) = source(root).clips()
        folder = clip.path
        assert clip.drive == f"{folder.parent.name}/{folder.name}"
        assert clip.interval == pytest.approx(interval)
        (root / "camera.yaml").write_text(CAMERA + "height_m: 1.2\ninterval_s: 0.04\ndrive: room\nindependent: true\n")
        (clip,) = source(root).clips()
        assert (clip.camera_height, clip.interval, clip.drive, clip.independent) == (1.2, 0.04, "room", True)
        assert clip.calibration is not None
        assert clip.calibration[0] == root / "camera.yaml"


def test_measurements_are_optional_and_images_may_be_partial(
    tum: Path, scenes: Path, complaint: Callable[..., None]
) -> None:
    for name in ("depth.txt", "groundtruth.txt", "rgb/10.033000.png"):
        (tum / name).unlink()
    complaint(source(tum).clips, "10.033000.png", "1 of the 3 images", "rgb.txt")
    with pytest.warns(UserWarning, match="1 of the 3 images"):
        (clip,) = source(tum, partial=True).clips()
    assert clip.interval == pytest.approx(0.033)  # of what is listed
    assert [(frame.depth, frame.pose) for frame in clip.frames] == [(None, None)] * 2
    for path in [*scenes.glob("seq-01/*.depth.png"), *scenes.glob("seq-01/*.pose.txt")]:
        path.unlink()
    assert source(scenes).clips()[0].frames[0].depth is None


def test_published_cameras(
    scenes: Path, tum: Path, write_image: Callable[..., Path], complaint: Callable[..., None], tmp_path: Path
) -> None:
    for path in (*scenes.glob("seq-01/*.png"), *tum.glob("rgb/*.png"), *tum.glob("depth/*.png")):
        write_image(path, 480, 640, mode="I;16" if "depth" in str(path.relative_to(tmp_path)) else "RGB")
    assert source(scenes, camera=None).clips()[0].camera.fx == 585
    (clip,) = source(tum, camera=None).find()
    assert clip.camera.fx == 517.3
    assert clip.lens == BrownConrady(0.2624, -0.9531, -0.0054, 0.0026, 1.1633)
    (clip,) = source(tum, camera=None).clips()
    assert clip.lens is None
    assert clip.corrected is not None
    assert "brown_conrady undistorted" in clip.corrected
    other = tum.rename(tum.parent / "my_room")
    complaint(source(other, camera=None).clips, other, "freiburg1", "'camera'")


def test_errors(scenes: Path, tum: Path, complaint: Callable[..., None], write_image: Callable[..., Path]) -> None:
    assert all(map(Rgbd.recognizes, (scenes, scenes / "seq-01", tum)))
    assert not Rgbd.recognizes(tum / "rgb")
    complaint(source(scenes, sequences=["seq-1"]).clips, "holds no 'seq-1'", "'seq-01'")
    complaint(source(tum / "rgb", camera=tum / "camera.yaml").clips, tum / "rgb", "7-Scenes", "TUM")
    pose = scenes / "seq-01/frame-000001.pose.txt"
    for change in ("nan", "-inf", "x", "5"):
        np.savetxt(pose, motion(1))
        pose.write_text(change + pose.read_text()[pose.read_text().index(" ") :])
        complaint(source(scenes).clips, pose, "camera-to-world")
    np.savetxt(pose, motion(1))
    image = scenes / "seq-01/frame-000001.color.png"
    image.write_bytes(image.read_bytes()[:100])
    complaint(source(scenes).clips, image, "truncated")
    image.rename(scenes / "seq-01/frame-x.color.png")
    complaint(source(scenes).clips, "frame-x.color.png", "named like")

    truth = tum / "groundtruth.txt"
    write_rows(truth, (10.0, 1, 2, 3, 0, 0, 0, "nan"))
    complaint(source(tum).clips, truth, "time 10.0", "not finite")
    write_rows(truth, (10.0, 1, 2, 3, 0, 0, 0, "one"))
    complaint(source(tum).clips, truth, "no numbers")
    write_rows(truth, (10.0, 1, 2, 3))
    complaint(source(tum).clips, truth, "line 2", "7 values")
    write_rows(truth, *[(10.0, 0, 0, 0, 0, 0, 0, 1)] * 2)
    complaint(source(tum).clips, truth, "line 3", "second time")
    truth.write_text("# nothing\n")
    complaint(source(tum).clips, truth, "no line")


@given(text=st.text(alphabet=st.sampled_from("0123456789.-einfa \n#") | st.characters(codec="utf-8"), max_size=80))
def test_any_text_is_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, read_or_refused: Callable[..., Any], text: str
) -> None:
    path = tmp_path_factory.mktemp("rgbd") / "file.txt"
    path.write_text(text, encoding="utf-8")
    rows = read_or_refused(lambda: read_stamped(path, 1), path)
    if rows is not None:
        times = [time for time, _ in rows]
        assert times == sorted(set(times))
        assert all(words[0] in text and len(words) == 1 for _, words in rows)
    assert read_or_refused(lambda: read_pose(path), path) is None


@given(values=st.lists(st.floats(), min_size=16, max_size=16))
def test_any_matrix_is_a_rigid_motion_or_refused(
    tmp_path_factory: pytest.TempPathFactory, read_or_refused: Callable[..., Any], values: list[float]
) -> None:
    path = tmp_path_factory.mktemp("rgbd") / "frame.pose.txt"
    path.write_text(" ".join(map(repr, values)))
    T = read_or_refused(lambda: read_pose(path), path)
    if T is not None:
        assert T.ravel().tolist() == values
        np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=0.02)
        np.testing.assert_allclose(T[3], [0, 0, 0, 1], atol=1e-4)


@given(place=st.lists(st.floats(-99, 99), min_size=3, max_size=3), turn=st.floats(-3, 3))
def test_a_pose_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[float, float, float], turn: float
) -> None:
    path = tmp_path_factory.mktemp("rgbd") / "frame.pose.txt"
    cosine, sine = np.cos(turn), np.sin(turn)
    T = np.array([[cosine, 0, sine, place[0]], [0, 1, 0, place[1]], [-sine, 0, cosine, place[2]], [0, 0, 0, 1]])
    np.savetxt(path, T, fmt="%.17g")
    np.testing.assert_array_equal(read_pose(path), T)
