from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import world
from PIL import Image
from present import present
from scipy.spatial.transform import Rotation

from packdepth.sources.folder import Folder, read_clip, read_frames

CAMERA = "width: 40\nheight: 12\nfx: 30\nfy: 30\ncx: 19.5\ncy: 5.5\n"


@pytest.fixture
def clip_folder(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """A clip of three frames with nothing but what is required."""
    folder = tmp_path / "clip"
    for name in ("a", "b", "c"):
        write_image(folder / f"frames/{name}.png")
    (folder / "camera.yaml").write_text(CAMERA)
    (folder / "frames.csv").write_text("frame,time_s\na,0.0\nb,0.1\nc,0.25\n")
    return folder


def source(root: Path, **changes: Any) -> Folder:
    return Folder(kind="folder", root=root, **changes)


def test_smallest_clip(clip_folder: Path) -> None:
    (clip,) = pickle.loads(pickle.dumps(source(clip_folder).clips()))
    assert clip.name == "folder/clip"
    assert (clip.camera.fx, clip.camera.width, clip.baseline, clip.independent) == (30, 40, None, False)
    assert [(frame.name, frame.time) for frame in clip.frames] == [("a", 0), ("b", 0.1), ("c", 0.25)]
    frame = clip.frames[0]
    assert (frame.right, frame.depth, frame.lidar, frame.semantic, frame.speed, frame.pose) == (None,) * 6


def test_everything_a_clip_can_hold(clip_folder: Path, write_image: Callable[..., Path]) -> None:
    for name in ("a", "b", "c"):
        write_image(clip_folder / f"right/{name}.jpg")
    write_image(clip_folder / "depth/b.png", mode="I;16")
    write_image(clip_folder / "semantic/c.png", mode="L")
    (clip_folder / "lidar").mkdir()
    np.savez(clip_folder / "lidar/a.npz", points=np.ones((5, 3)))
    (clip_folder / "depth/.DS_Store").write_text("")
    (clip_folder / "camera.yaml").write_text(CAMERA + "baseline_m: 0.5\n")
    (clip_folder / "frames.csv").write_text(
        "frame, time_s, speed_mps, x, y, z, qx, qy, qz, qw\na, 0, 9.5, 1, 2, 3, 0, 0, 0, 1\nb, 1, , , , , , , , \n\n"
        "c, 2, 0, 4, 5, 6, 0.5, -0.5, 0.5, 0.5\n"
    )
    clip = read_clip(clip_folder)
    a, b, c = clip.frames
    assert clip.baseline == 0.5
    assert (a.speed, b.speed, c.speed) == (9.5, None, 0.0)
    assert b.pose is None
    np.testing.assert_array_equal(a.pose, [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
    assert present(c.right).read().shape == (12, 40, 3)
    assert present(a.lidar).read().shape == (5, 3)
    assert present(b.depth).read().shape == present(c.semantic).read().shape == (12, 40)
    assert [frame.depth is None for frame in clip.frames] == [True, False, True]


def test_quaternions_are_rotations(tmp_path: Path) -> None:
    rotations = Rotation.random(10, random_state=0)
    rows = [f"{i},{i},0,0,0,{','.join(f'{v:.8f}' for v in q)}" for i, q in enumerate(rotations.as_quat())]
    path = tmp_path / "frames.csv"
    path.write_text("\n".join(["frame,time_s,x,y,z,qx,qy,qz,qw", *rows]))
    for line, matrix in zip(read_frames(path), rotations.as_matrix(), strict=True):
        np.testing.assert_allclose(present(line.pose)[:3, :3], matrix, atol=1e-7)


def test_rendered_world_comes_back(moving_clip: Path) -> None:
    """What the clip's writer put in is what the source gives back."""
    (clip,) = source(moving_clip).clips()
    assert (clip.camera.fx, clip.camera.cy) == (world.CAMERA.fx, world.CAMERA.cy)
    for index, frame in enumerate(clip.frames):
        image, depth = world.render(index)
        np.testing.assert_allclose(frame.image.read() / 255, image, atol=0.6 / 255)
        np.testing.assert_allclose(present(frame.depth).read(), depth, atol=0.6 / 256)
        np.testing.assert_allclose(present(frame.pose), world.pose(index), atol=1e-9)
        assert frame.speed == world.STEP * world.RATE
        assert frame.time == pytest.approx(index / world.RATE)


def test_folder_of_clips(clip_folder: Path, write_image: Callable[..., Path], complaint: Callable[..., None]) -> None:
    root = clip_folder.parent
    write_image(root / "second/frames/x.jpg")
    (root / "second/camera.yaml").write_text(CAMERA)
    (root / "second/frames.csv").write_text("frame,time_s\nx,0\n")
    (root / "results").mkdir()
    (root / "notes.txt").write_text("")
    assert [clip.name for clip in source(root).clips()] == ["folder/clip", "folder/second"]
    assert [clip.name for clip in source(root, names=["second"]).clips()] == ["folder/second"]
    complaint(source(root, names=["secnd"]).clips, root, "'secnd'", "did you mean 'second'")
    (root / "second/camera.yaml").unlink()
    first, second = source(root).clips()
    assert (first.missing_camera, second.missing_camera) == (None, root / "second/camera.yaml")
    assert (second.guess, second.camera.fov()) == ("assumed", pytest.approx(60))
    complaint(source(root / "results").clips, root / "results", "camera.yaml")
    complaint(source(root / "nowhere").clips, root / "nowhere", "not found")


def test_unrelated_images_need_no_order(clip_folder: Path) -> None:
    (clip_folder / "camera.yaml").write_text(CAMERA + "independent: true\n")
    (clip_folder / "frames.csv").write_text("frame,time_s\nb,0\na,0\nc,0\n")
    clip = read_clip(clip_folder)
    assert clip.independent
    assert [frame.name for frame in clip.frames] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("frame,time_s\na,0\nb,1\n", ["frames/c.png", "frames.csv"]),
        ("frame,time_s\na,0\nb,1\nc,2\nd,3\n", ["frames.csv", "'d'", "no image"]),
        ("frame,time_s\na,0\nb,1\na,2\n", ["frames.csv", "'a'", "two lines"]),
        ("frame\na\nb\nc\n", ["frames.csv", "time_s", "column"]),
        ("frame,time_s,x,y,z\na,0,1,2,3\n", ["frames.csv", "qx and qy and qz and qw"]),
        ("frame,time_s,speed\na,0,1\n", ["frames.csv", "'speed'", "did you mean 'speed_mps'"]),
        ("frame,time_s,time_s\na,0,1\n", ["frames.csv", "'time_s'", "twice"]),
        ("frame,time_s\na,0\nb,soon\nc,2\n", ["frames.csv", "line 3", "time_s", "'soon'"]),
        ("frame,time_s\na,0\nb,nan\nc,2\n", ["frames.csv", "line 3", "time_s", "'nan'"]),
        ("frame,time_s\na,0\nb,\nc,2\n", ["frames.csv", "line 3", "time_s"]),
        ("frame,time_s\na,0\nb,2\nc,1\n", ["frames.csv", "line 4", "1.0", "2.0", "independent"]),
        ("frame,time_s\na,0\nb,0\nc,1\n", ["frames.csv", "line 3", "independent"]),
        ("frame,time_s\na,0\nb\nc,1\n", ["frames.csv", "line 3", "1 value", "2 columns"]),
        ("frame,time_s,speed_mps\na,0,fast\nb,1,2\nc,2,2\n", ["line 2", "speed_mps", "'fast'"]),
        ("frame,time_s,speed_mps\na,0,-1\nb,1,2\nc,2,2\n", ["line 2", "speed_mps", "-1"]),
        ("frame,time_s\n,0\nb,1\nc,2\n", ["line 2", "frame is empty"]),
        ("frame,time_s,x,y,z,qx,qy,qz,qw\na,0,1,2,3,0,0,0,0.5\n", ["line 2", "0.5", "length 1"]),
        ("frame,time_s,x,y,z,qx,qy,qz,qw\na,0,1,2,,0,0,0,1\n", ["line 2", "incomplete"]),
        ("frame,time_s\n", ["frames.csv", "no line"]),
        ("", ["frames.csv", "frame and time_s"]),
    ],
)
def test_errors_of_the_table(clip_folder: Path, complaint: Callable[..., None], text: str, parts: list[str]) -> None:
    (clip_folder / "frames.csv").write_text(text)
    complaint(lambda: read_clip(clip_folder), clip_folder, *parts)


def test_a_file_in_place_of_the_folder(clip_folder: Path, complaint: Callable[..., None]) -> None:
    table = clip_folder / "frames.csv"
    complaint(Folder(kind="folder", root=table).clips, table, "is a file; give a clip's folder")


def test_errors_of_files(clip_folder: Path, write_image: Callable[..., Path], complaint: Callable[..., None]) -> None:
    def fails(*parts: object) -> None:
        complaint(lambda: read_clip(clip_folder), *parts)

    stray = write_image(clip_folder / "depth/d.png", mode="I;16")
    fails(stray, "frames.csv")
    stray.unlink()
    stray = write_image(clip_folder / "depth/a.jpg")
    fails(stray, ".png")
    stray.unlink()
    for folder in ("depth", "semantic", "right", "frames"):
        path = write_image(clip_folder / folder / "a.png", 6, 20)
        fails(path, "20x6", clip_folder / "camera.yaml", "40x12")
        write_image(path)
    (clip_folder / "frames/b.png").write_text("no image")
    fails(clip_folder / "frames/b.png", "not an image")
    for path in (clip_folder / "frames").iterdir():
        path.unlink()
    fails(clip_folder / "frames", "holds no .png")
    (clip_folder / "frames.csv").unlink()
    fails(clip_folder / "frames.csv", "not found", "time_s")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_image_is_an_error_at_once(
    clip_folder: Path, write_image: Callable[..., Path], complaint: Callable[..., None], share: float
) -> None:
    path = write_image(clip_folder / "frames/b.png", 12, 40)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    complaint(lambda: read_clip(clip_folder), path, "truncated")


def test_damaged_image_is_an_error_when_read(
    clip_folder: Path, write_image: Callable[..., Path], complaint: Callable[..., None]
) -> None:
    path = write_image(clip_folder / "frames/b.png", 12, 40)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    complaint(read_clip(clip_folder).frames[1].image.read, path, "broken")


def test_table_as_spreadsheets_write_it(clip_folder: Path) -> None:
    (clip_folder / "frames.csv").write_bytes("\ufeffframe,time_s\r\na,0\r\nb,1\r\nc,2\r\n".encode())
    assert [frame.time for frame in read_clip(clip_folder).frames] == [0, 1, 2]


def test_real_clips(data: Path) -> None:
    clips = {clip.name: clip for clip in source(data / "clips").clips()}
    driving = clips["folder/kitti360_3000"]
    assert sum(frame.lidar is not None for frame in driving.frames) == 25
    positions = np.array([present(frame.pose)[:3, 3] for frame in driving.frames])
    times = np.array([frame.time for frame in driving.frames])
    speeds = np.array([frame.speed for frame in driving.frames])
    traveled = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    np.testing.assert_allclose(traveled.sum(), (speeds[:-1] * np.diff(times)).sum(), rtol=0.05)
    ahead = np.linalg.inv(present(driving.frames[0].pose)) @ present(driving.frames[10].pose)
    assert ahead[2, 3] > 0.9 * np.linalg.norm(ahead[:3, 3])
    points = present(driving.frames[0].lidar).read()
    assert points.shape[1] == 3
    pairs = clips["folder/kitti2015_pairs"]
    assert pairs.independent
    assert pairs.baseline == pytest.approx(0.53273)
    assert all(frame.right is not None and frame.depth is not None for frame in pairs.frames)
    room = clips["folder/hololens_room"].frames[0]
    with Image.open(room.image.path) as image:
        assert present(room.depth).read().shape == (image.height, image.width)
