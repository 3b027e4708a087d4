"""Tables, calibrations and videos as people write and record them: Excel, normalized intrinsics, slow motion, bars."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import av
import formats
import numpy as np
import pytest
import world
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from packdepth.errors import InputError
from packdepth.inspection.findings import findings, survey_findings
from packdepth.inspection.picture import Bars, black_bars
from packdepth.inspection.survey import survey
from packdepth.sources.base import check_interval
from packdepth.sources.camera_file import check_focals, read_camera
from packdepth.sources.decoding import probe
from packdepth.sources.folder import read_clip, read_frames
from packdepth.sources.open import open_clips

RNG = np.random.default_rng(0)
PATTERN = RNG.integers(0, 256, (24, 60, 3), dtype=np.uint8).repeat(6, 0).repeat(6, 1)  # [144, 360, 3]


def pictures(frames: int = 16, first: int = 0, height: int = 96, width: int = 192) -> list[np.ndarray]:
    """Return images of a pattern that moves to the left by 3 pixels a frame."""
    return [PATTERN[:height, 3 * index : 3 * index + width] for index in range(first, first + frames)]


def names_of(path: Path) -> dict[str, str]:
    """Return the findings of a video: what was found, by name."""
    return {finding.name: finding.found for finding in findings(survey(open_clips(path)[0]))}


# --- frames.csv -------------------------------------------------------------------------------------------------

DIALECTS: dict[str, Callable[[str], bytes]] = {
    "European Excel": lambda text: text.replace(",", ";").replace(".", ",").encode(),
    "European Excel with the time first": lambda text: (
        re.sub("^(.*?),(.*?),", r"\2;\1;", text, flags=re.MULTILINE).replace(",", ";").replace(".", ",").encode()
    ),
    "Unicode text of Excel": lambda text: text.replace(",", "\t").encode("utf-16"),
    "columns without names": lambda text: "\n".join(f"{line},," for line in text.splitlines()).encode(),
    "capitals": lambda text: text.replace("frame,time_s", "Frame,Time_s").encode(),
    "comments": lambda text: ("# my drive\n" + text.replace("\n", "\n# turned left, slowly\n\n", 3)).encode(),
    "a header in a comment": lambda text: f"# by my logger, 2026\n#{text}".encode(),
    "quotes that keep zeros": lambda text: "\n".join(
        f'"=""{line[:6]}"""{line[6:]}' if line[0] == "0" else line for line in text.splitlines()
    ).encode(),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_table_of_frames_is_read_in_the_dialects_of_spreadsheets(tmp_path: Path, dialect: str) -> None:
    folder = world.write(tmp_path / "clip")
    before = read_frames(folder / "frames.csv")
    (folder / "frames.csv").write_bytes(DIALECTS[dialect]((folder / "frames.csv").read_text()))
    after = read_frames(folder / "frames.csv")
    assert [(row.frame, row.time, row.speed) for row in after] == [(row.frame, row.time, row.speed) for row in before]


@pytest.mark.parametrize(
    ("column", "factor"), [("speed_kmh", "0.2778"), ("speed_mph", "0.447"), ("speed [cm/s]", "0.01")]
)
def test_a_speed_in_another_unit_is_not_to_be_renamed(tmp_path: Path, column: str, factor: str) -> None:
    (tmp_path / "frames.csv").write_text(f"frame,time_s,{column}\n0,0,3\n")
    with pytest.raises(InputError, match=rf"write metres per second, as speed_mps \(1 .* is {factor} m/s\)"):
        read_frames(tmp_path / "frames.csv")


# --- calibrations -----------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(width=st.integers(200, 8000), fov=st.floats(4, 150))
def test_focal_lengths_of_any_lens_are_pixels_and_shares_of_the_width_are_not(width: int, fov: float) -> None:
    focal = width / 2 / np.tan(np.radians(fov / 2))
    check_focals(width, focal, focal, width / 2)
    with pytest.raises(ValueError, match="as a share of the width, fx would be" if focal / width < 3 else "fx: is"):
        check_focals(width, focal / width, focal / width, 0.5)


@pytest.mark.parametrize(
    ("focal", "center", "hint"),
    [
        (0.58, 0.5, r"fx would be 185\.6 pixels"),
        (4.2, 159.5, "millimetres become pixels"),
        (12000, 159.5, "see for which"),
    ],
)
def test_focal_lengths_in_another_unit_are_refused(tmp_path: Path, focal: float, center: float, hint: str) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(f"width: 320\nheight: 96\nfx: {focal}\nfy: {focal}\ncx: {center}\ncy: 47.5\n")
    with pytest.raises(InputError, match=rf"camera\.yaml: .*{hint}"):
        read_camera(path)


def test_calibrations_in_json_are_read(tmp_path: Path) -> None:
    own = {"width": 96, "height": 48, "fx": 60.0, "fy": 58.0, "cx": 46.0, "cy": 22.5}
    realsense = {"width": 96, "height": 48, "fx": 60.0, "fy": 58.0, "ppx": 46.0, "ppy": 22.5, "model": "Brown Conrady"}
    for name, content in (("camera.json", own), ("intrinsics.json", realsense | {"coeffs": [0.0] * 5})):
        folder = world.write(tmp_path / name)
        (folder / "camera.yaml").unlink()
        (folder / name).write_text(json.dumps(content))
        clip = read_clip(folder)
        assert [float(getattr(clip.camera, name)) for name in ("fx", "fy", "cx", "cy")] == [60.0, 58.0, 46.0, 22.5]
        assert clip.calibration is not None


def test_a_lens_of_librealsense_is_read_or_refused(tmp_path: Path) -> None:
    content = {"width": 96, "height": 48, "fx": 60, "fy": 58, "ppx": 46, "ppy": 22, "coeffs": [0.1, 0.2, 0, 0, 0.3]}
    path = tmp_path / "intrinsics.json"
    path.write_text(json.dumps(content | {"model": "distortion.brown_conrady"}))
    lens = read_camera(path).lens
    assert lens is not None
    assert lens.coefficients[:5] == (0.1, 0.2, 0, 0, 0.3)
    path.write_text(json.dumps(content | {"model": "distortion.inverse_brown_conrady"}))
    with pytest.raises(InputError, match="lens model 'inverse_brown_conrady' with coefficients that are not 0"):
        read_camera(path)


def test_a_calibration_of_no_form_that_is_read_is_named(tmp_path: Path) -> None:
    folder = world.write(tmp_path / "clip")
    (folder / "camera.yaml").unlink()
    (folder / "intrinsics.txt").write_text("60 0 46\n0 58 22.5\n0 0 1\n")
    found = {finding.name: finding.found for finding in findings(survey(read_clip(folder)))}
    assert found["calibration"].startswith(
        "none found (intrinsics.txt is of no form that is read); the camera is guessed"
    )


@pytest.mark.parametrize(("interval", "fine"), [(0.1, True), (0.05, True), (10, False), (100, False), (0.2, False)])
def test_an_interval_in_another_unit_hides_no_gaps(tmp_path: Path, interval: float, fine: bool) -> None:
    folder = world.write(tmp_path / "clip")
    with (folder / "camera.yaml").open("a") as file:
        file.write(f"interval_s: {interval}\n")
    if fine:
        check_interval(read_clip(folder))
    else:
        with pytest.raises(InputError, match=rf"interval_s is {interval:g}, but its frames are 0\.1 s apart"):
            open_clips(folder)


# --- videos -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("captured", "seconds"), [("120.0", 0.25), ("30", 1.0), ("1", 30.0), ("unknown", 1.0)])
def test_slow_motion_has_the_times_of_the_recording(tmp_path: Path, captured: str, seconds: float) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata["com.android.capture.fps"] = captured
        stream = container.add_stream("mpeg4", rate=30)
        stream.height, stream.width, stream.pix_fmt = 96, 192, "yuv420p"
        for image in pictures(31):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())
    times = probe(path).times
    assert times[-1] - times[0] == pytest.approx(seconds, rel=1e-3)
    (clip,) = open_clips(path)
    assert clip.rate == pytest.approx(30 / seconds)
    assert (clip.corrected is not None) == (seconds != 1.0)


@pytest.mark.parametrize("axis", [0, 1])
def test_two_views_in_one_video_are_an_error(tmp_path: Path, axis: int) -> None:
    shifted = [np.roll(image, -4, 1) for image in pictures()]
    both = [np.concatenate(pair, axis) for pair in zip(pictures(), shifted, strict=True)]
    halves = ("upper and lower", "left and right")[axis]
    assert names_of(formats.video(tmp_path / "a.mp4", both))["two views"].startswith(f"the {halves} half of the images")
    assert "two views" not in names_of(formats.video(tmp_path / "b.mp4", pictures()))


@settings(max_examples=30, deadline=None)
@given(bars=st.tuples(*[st.integers(0, 30)] * 4), level=st.integers(0, 16))
def test_black_bars_are_measured(bars: tuple[int, int, int, int], level: int) -> None:
    top, bottom, left, right = bars
    image = np.full((96 + top + bottom, 192 + left + right, 3), level, dtype=np.uint8)
    image[top : top + 96, left : left + 192] = PATTERN[:96, :192] // 2 + 100
    assert black_bars(image) == Bars(*bars)


def test_bars_are_named_with_the_crop_that_removes_them(tmp_path: Path) -> None:
    barred = [np.pad(image // 2 + 100, ((16, 16), (0, 0), (0, 0))) for image in pictures()]
    found = {f.name: f for f in findings(survey(open_clips(formats.video(tmp_path / "a.mp4", barred))[0]))}
    assert "the picture is 192x96 of 192x128 pixels" in found["black bars"].found
    assert "crop=192:96:0:16" in found["black bars"].advice
    assert "black bars" not in names_of(formats.video(tmp_path / "b.mp4", pictures()))


def test_a_cut_and_a_turned_camera_are_named_by_their_frame_and_a_change_of_exposure_is_none(tmp_path: Path) -> None:
    cut = pictures(8) + [image[::-1, ::-1] for image in pictures(8, 8)]
    darker = pictures(8) + [(0.6 * image).astype(np.uint8) for image in pictures(8, 8)]
    assert names_of(formats.video(tmp_path / "a.mp4", cut))["cuts"].endswith("1 time, with 000008")
    for images in (darker, pictures()):
        assert "cuts" not in names_of(formats.video(tmp_path / "b.mp4", images))


@pytest.mark.parametrize("most", [160, 16])
@pytest.mark.parametrize(("turns", "cuts"), [(1, ["1 time, with 000032"]), (3, [])])
def test_a_fast_turn_is_no_cut_however_few_frames_are_surveyed(
    tmp_path: Path, most: int, turns: int, cuts: list[str]
) -> None:
    """The camera jumps once, which is a cut, or from each of three frames to the next, which is a turn."""
    jumps = np.cumsum([100 if 31 <= index - 1 < 31 + turns else 1 for index in range(60)])
    images = [np.roll(PATTERN[:96], -jump, axis=1)[:, :192] for jump in jumps]
    surveyed = survey(open_clips(formats.video(tmp_path / "a.mp4", images))[0], most)
    assert 31 in surveyed.indices
    found = [finding.found for finding in survey_findings(surveyed) if finding.name == "cuts"]
    assert [words.partition("as a whole ")[2] for words in found] == cuts


def test_an_image_of_which_the_lower_part_is_missing_is_named(tmp_path: Path) -> None:
    lost = [image.copy() for image in pictures()]
    for number, image in enumerate(lost):
        Image.fromarray(image).save(tmp_path / f"{number:06d}.png")
    assert "damaged images" not in names_of(tmp_path)
    lost[5][70:] = 128
    Image.fromarray(lost[5]).save(tmp_path / "000005.png")
    assert names_of(tmp_path)["damaged images"].endswith("leaves it: 000005")


def test_copies_of_single_frames_are_no_camera_that_stands(tmp_path: Path) -> None:
    images = pictures(40)
    faster = [image for number, image in enumerate(images) for _ in range(2 if number % 5 == 4 else 1)]  # 25 to 30 Hz
    found = names_of(formats.video(tmp_path / "a.mp4", faster))
    assert found["repeated frames"].startswith("17% of the frames repeat the one before, one here and one there")
    assert "static frames" not in found
    stands = images[:15] + [images[15]] * 8 + images[16:]
    found = names_of(formats.video(tmp_path / "b.mp4", stands))
    assert "repeated frames" not in found
    assert "static frames" in found
