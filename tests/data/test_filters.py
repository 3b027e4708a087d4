"""Frames in which the camera stands are left out, by image and by speed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from fill import smooth_image

from packdepth.config import DropStatic
from packdepth.data.filters import static_by_image, static_by_speed, without_static
from packdepth.data.targets import target_indices
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.recognize import source_at

STANDS = [False, False, False, True, True, True, False, False, False, False]


@dataclass(frozen=True)
class Picture:
    """An image in memory."""

    image: np.ndarray
    path: Path = Path("memory")

    def read(self) -> np.ndarray:
        return self.image


@pytest.fixture(scope="module")
def stopping() -> Clip:
    """Ten frames of a texture that moves by 4 pixels a frame and 2 m/s, but for three frames where it stands."""
    texture = (255 * smooth_image("filters", (1, 3, 96, 260), coarse=6)[0].transpose(1, 2, 0)).astype(np.uint8)
    places = np.cumsum([0, *[0 if stands else 4 for stands in STANDS]])[:-1]
    speeds = [0.0 if stands else 2.0 for stands in STANDS]
    frames = tuple(
        Frame(f"{i:02d}", i / 10, Picture(texture[:, place : place + 208]), speed=speed)
        for i, (place, speed) in enumerate(zip(places, speeds, strict=True))
    )
    return Clip("stopping", Path("stopping"), Camera.from_fov(60, 208, 96), frames)


def test_by_image(stopping: Clip) -> None:
    assert static_by_image(stopping).tolist() == STANDS


def at_rate(rate: int, speeds: list[float], copies: bool = False) -> Clip:
    """A texture that moves by 40 pixels a second times the speed of each tenth of a second, in frames 208 pixels wide.

    With copies, every third frame repeats the one before.
    """
    texture = (255 * smooth_image("filters", (1, 3, 48, 600), coarse=6)[0].transpose(1, 2, 0)).astype(np.float32)
    count = len(speeds) * rate // 10
    of_frames = np.repeat(speeds, rate // 10)
    places = np.cumsum([0, *of_frames])[:-1] * 40 / rate
    frames = []
    for i in range(count):
        place = places[i - 1 if copies and i % 3 == 2 else i]
        left, right = int(place), place - int(place)
        image = (1 - right) * texture[:, left : left + 208] + right * texture[:, left + 1 : left + 209]
        frames.append(Frame(f"{i:03d}", i / rate, Picture(image.round().astype(np.uint8))))
    return Clip("rate", Path("rate"), Camera.from_fov(60, 208, 48), tuple(frames))


@pytest.mark.parametrize("rate", [10, 20, 30, 60, 120])
@pytest.mark.parametrize("speed", [0.25, 1.0, 2.0])  # 0.25: 1 pixel in a tenth of a second, the limit is 0.5
def test_by_image_a_camera_stands_whatever_the_frame_rate(rate: int, speed: float) -> None:
    speeds = [speed] * 4 + [0.0] * 4 + [speed] * 4
    static = static_by_image(at_rate(rate, speeds))
    stands = np.repeat(speeds, rate // 10) == 0
    wrong = np.flatnonzero(static != stands) * 10 // rate
    assert set(wrong) <= {3, 7}  # the tenths of a second at whose ends it stops and drives off
    assert not static[: 3 * rate // 10].any()
    assert static[4 * rate // 10 : 7 * rate // 10].all()


@pytest.mark.parametrize("rate", [30, 60, 120])
def test_by_image_copies_are_static_in_a_moving_camera(rate: int) -> None:
    static = static_by_image(at_rate(rate, [2.0] * 6, copies=True))
    copied = np.arange(1, len(static) + 1) % 3 == 2  # the frame after it repeats it
    assert static[:-1].tolist() == copied[:-1].tolist()


def test_by_speed_and_by_poses(stopping: Clip) -> None:
    expected = [
        False,
        False,
        False,
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]  # the mean of 0 and 2 m/s is driving
    assert static_by_speed(stopping, 0.5).tolist() == expected
    bare = replace(stopping, frames=tuple(replace(frame, speed=None) for frame in stopping.frames))
    with pytest.raises(InputError, match="clip stopping has neither speed nor poses"):
        static_by_speed(bare, 0.5)
    poses = [np.eye(4) for _ in STANDS]
    for pose, place in zip(poses, np.cumsum([0, *STANDS])[:-1], strict=True):
        pose[2, 3] = 0.2 * place  # the other way about: moves where the texture stands
    posed = tuple(replace(frame, pose=pose) for frame, pose in zip(bare.frames, poses, strict=True))
    assert static_by_speed(replace(bare, frames=posed), 0.5).tolist() == [not stands for stands in STANDS]


def test_what_is_left_has_no_neighbors_across_the_stop(stopping: Clip) -> None:
    left = without_static(stopping, DropStatic(by="image"))
    assert [frame.name for frame in left.frames] == ["00", "01", "02", "06", "07", "08", "09"]
    assert target_indices(left, (-1, 1)) == [1, 4, 5]


def test_a_clip_that_stands_throughout_is_an_error(stopping: Clip) -> None:
    standing = replace(stopping, frames=stopping.frames[3:6])
    with pytest.raises(InputError, match="drop_static leaves 0 of the 3 frames of clip stopping"):
        without_static(standing, DropStatic(by="image"))


def test_a_car_that_brakes(data: Path) -> None:
    clip = source_at(data / "kitti_raw/2011_09_26/2011_09_26_drive_0052_sync").clips()[0]
    static = static_by_image(clip)
    assert not static[:45].any()
    assert static[53:].all()
