"""Files of strangers that were silently wrong, or a fault: scans of other axes, GIFs, small images, calibrations."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import formats
import numpy as np
import pytest
import world
from arrays import Array
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.inspection.findings import Finding, survey_findings
from packdepth.inspection.survey import Survey, survey
from packdepth.records import Clip
from packdepth.sources.decoding import iterate, probe
from packdepth.sources.folder import read_clip
from packdepth.sources.open import open_clips
from packdepth.sources.tracks.read import read_track

RNG = np.random.default_rng(0)
PATTERN = RNG.integers(0, 256, (16, 40, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)


@pytest.fixture(scope="module")
def surveyed(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """Measurements of the world."""
    return survey(read_clip(world.write(tmp_path_factory.mktemp("world") / "clip")))


def found(surveyed: Survey, clip: Clip) -> dict[str, Finding]:
    """Return the findings of a clip with the images of another one, by name."""
    return {finding.name: finding for finding in survey_findings(replace(surveyed, clip=clip))}


def with_scans(clip: Clip, points: list[np.ndarray]) -> Clip:
    """Return a clip with scans."""
    frames = (replace(f, lidar=Array(each)) for f, each in zip(clip.frames, points, strict=True))
    return replace(clip, frames=tuple(frames))


# --- scans ------------------------------------------------------------------------------------------------------

AXES = [
    (order, signs)
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
    if (order, signs) != ((0, 1, 2), (1, 1, 1))
]


@settings(deadline=None, max_examples=len(AXES))
@given(axes=st.sampled_from(AXES))
def test_points_of_an_image_in_other_axes_are_an_error_unless_they_fall_into_it(
    surveyed: Survey, axes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    order, signs = axes
    scans = [world.scan(index)[:, order] * signs for index in range(world.FRAMES)]
    finding = found(surveyed, with_scans(surveyed.clip, scans))["LiDAR"]
    share = int(re.findall(r"(\d+)% of whose returns", finding.found)[0])
    looks_ahead = order[2] == 2 and signs[2] == 1  # x and y are turned or mirrored: the images alone may tell
    assert (finding.severity == "error") == (share < 50)
    assert looks_ahead or (finding.severity == "error" and finding.found.endswith(" would"))


def test_points_in_the_camera_frame_are_fine_whatever_the_scanner_sees(surveyed: Survey) -> None:
    around = RNG.normal(size=(5000, 3)) * [20, 2, 20]  # of all directions: few fall into the image however it is turned
    for scans in ([world.scan(index) for index in range(world.FRAMES)], [around] * world.FRAMES):
        assert found(surveyed, with_scans(surveyed.clip, scans))["LiDAR"].severity == "note"


def test_scans_without_a_point_are_said_to_have_none(surveyed: Survey) -> None:
    finding = found(surveyed, with_scans(surveyed.clip, [np.zeros((0, 3))] * world.FRAMES))["LiDAR"]
    assert finding.severity == "error"
    assert finding.found.endswith("hold no point that is a number")


# --- calibrations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: replace(c, fx=c.cx, cx=c.fx, fy=c.cy, cy=c.fy), "with fx and cx, and fy and cy, exchanged"),
        (lambda c: replace(c, cx=0.0, cy=0.0), "counted from the middle of the image, or its matrix is transposed"),
    ],
)
def test_numbers_of_a_camera_that_were_taken_for_others_are_an_error(
    surveyed: Survey, change: Callable[[Camera], Camera], words: str
) -> None:
    camera = Camera(fx=140.0, fy=140.0, cx=176.0, cy=60.0, width=352, height=94)
    assert "intrinsics" not in found(surveyed, replace(surveyed.clip, camera=camera))
    finding = found(surveyed, replace(surveyed.clip, camera=change(camera)))["intrinsics"]
    assert finding.severity == "error"
    assert words in finding.found


def test_coefficients_of_no_lens_are_refused(tmp_path: Path) -> None:
    folder = world.write(tmp_path / "clip", 3)
    with (folder / "camera.yaml").open("a") as file:
        file.write("lens:\n  kind: brown_conrady\n  coefficients: [50.0, 0, 0, 0]\n")
    with pytest.raises(InputError, match=r"the lens \(brown_conrady, .*degrees across of the 77 of its focal length"):
        open_clips(folder)


# --- videos -----------------------------------------------------------------------------------------------------


def test_a_gif_of_which_images_would_be_lost_is_refused(tmp_path: Path) -> None:
    first, *others = (Image.fromarray(PATTERN[:64, 2 * i : 2 * i + 96]).quantize(32) for i in range(6))
    path = tmp_path / "a.gif"
    first.save(path, save_all=True, append_images=others, duration=100, optimize=False)
    assert probe(path).frames == 6
    content = path.read_bytes()
    path.write_bytes(re.sub(rb"\x21\xf9\x04....\x00", b"", content, flags=re.DOTALL))  # without graphic controls
    with pytest.raises(InputError, match=r"a\.gif: 1 of its 6 images can be read, as the others have no delay; write"):
        open_clips(path)


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "mpeg4"), ("webm", "libvpx")])
@pytest.mark.parametrize("share", [0.4, 0.7])
def test_a_video_that_ends_before_its_stated_end_is_refused(
    tmp_path: Path, suffix: str, codec: str, share: float
) -> None:
    path = formats.video(tmp_path / f"a.{suffix}", [PATTERN[:64, 2 * i : 2 * i + 96] for i in range(40)], codec)
    assert probe(path).frames == 40
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"is cut off or damaged after \d+ frames, \d\.\d s before the end that it st"):
        probe(path)
    unstated = content.replace(b"\x44\x89\x88", b"\xec\x40\x08", 1)  # a void element in place of the duration
    path.write_bytes(unstated[: int(len(content) * share)])
    assert 0 < probe(path).frames < 40  # a recorder that was stopped states none


@pytest.mark.parametrize("degrees", [30, 45, 80])
def test_a_video_that_is_to_be_turned_by_no_quarter_is_refused(tmp_path: Path, degrees: int) -> None:
    path = formats.video(tmp_path / "a.mp4", [PATTERN[:64, :96]] * 3)
    content, angle = bytearray(path.read_bytes()), np.deg2rad(degrees)
    start = content.index(b"tkhd") + 4 + 40
    a, b = int(np.cos(angle) * 65536), int(np.sin(angle) * 65536)
    content[start : start + 36] = struct.pack(">9i", a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mp4: asks to be turned by -?[0-9]+ degrees, which leaves no"):
        probe(path)
    assert len(list(iterate(path))) == 3


@pytest.mark.parametrize(("height", "width"), [(1, 96), (64, 1), (1, 1), (5, 96), (20, 1280)])
def test_images_too_small_for_motion_are_one_sentence(tmp_path: Path, height: int, width: int) -> None:
    image = np.resize(PATTERN, (height, width, 3))
    for index in range(3):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    (clip,) = open_clips(tmp_path)
    with pytest.raises(InputError, match=f"its images have {width}x{height} pixels, and measurements of their motion"):
        survey(clip)


@pytest.mark.parametrize("level", [0, 3, 128, 255])
def test_images_that_show_nothing_are_an_error(tmp_path: Path, level: int) -> None:
    for index in range(6):
        Image.fromarray(np.full((64, 96, 3), level, dtype=np.uint8)).save(tmp_path / f"{index}.png")
    (clip,) = open_clips(tmp_path)
    blank = {finding.name: finding for finding in survey_findings(survey(clip))}["blank images"]
    assert blank.severity == "error"
    assert blank.found.startswith("5 of 5 images that were looked at show nothing")
    for index in range(6):
        if index != 2:
            Image.fromarray(PATTERN[:64, 2 * index : 2 * index + 96]).save(tmp_path / f"{index}.png")
    blank = {finding.name: finding for finding in survey_findings(survey(clip))}["blank images"]
    assert (blank.severity, blank.found[-2:]) == ("warning", " 2")


# --- logs -------------------------------------------------------------------------------------------------------


def test_a_log_between_whose_values_a_vehicle_may_stop_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("time_s,speed_mps\n" + "".join(f"{100 * index},9.7\n" for index in range(20)))
    with pytest.raises(
        InputError, match=r"log\.csv: its values are 100 s apart, .*, unless its times are milliseconds"
    ):
        read_track(path)
