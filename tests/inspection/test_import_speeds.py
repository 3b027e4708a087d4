"""`packdepth data import` and `data check` with the log of a logger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from packdepth.data.dataset import ClipDataset
from packdepth.data.targets import distance, target_indices
from packdepth.errors import InputError
from packdepth.inspection.check import check
from packdepth.inspection.findings import findings
from packdepth.inspection.import_data import import_data
from packdepth.inspection.survey import survey
from packdepth.records import Clip
from packdepth.sources.folder import Folder


def log_of(path: Path, clip: Clip, shorter: int = 0) -> Path:
    """A log in km/h whose clock is at 1.7 s at the first frame, and that ends before the last frames."""
    times = np.array([frame.time for frame in clip.frames])[: len(clip.frames) - shorter]
    rows = "".join(f"{time - times[0] + 1.7:.6f},{3.6 * (2 + time - times[0]):.9f}\n" for time in times)
    path.write_text(f"time_s,speed_kmh\n{rows}")
    return path


def test_imported_speeds_are_in_frames_csv(
    moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clip,) = Folder(kind="folder", root=moving_clip).clips()
    log = log_of(tmp_path / "log.csv", clip, shorter=2)
    (folder,) = import_data(moving_clip, tmp_path / "mine", options=(f"speeds={log}", "offset=1.7"))
    printed = capsys.readouterr().out
    assert "column 'speed_kmh' in km/h" in printed
    last = [frame.name for frame in clip.frames[-2:]]
    assert f"2 of {len(clip.frames)} frames have no speed and are context only: {last[0]} to {last[1]}" in printed
    (found,) = Folder(kind="folder", root=folder).clips()
    speeds = [frame.speed for frame in found.frames]
    assert speeds[-2:] == [None, None]
    told = (tmp_path / "mine" / "import.yaml").read_text()  # how the log was read is not on the terminal alone
    assert told.startswith(f"# imported in {Path.cwd()}\n# {clip.name}: log.csv: column 'speed_kmh' in km/h")
    import_data(moving_clip, tmp_path / "mine", options=(f"speeds={log}", "offset=1.7"))
    assert "complete already" in capsys.readouterr().out
    times = np.array([frame.time for frame in found.frames[:-2]])
    np.testing.assert_allclose(np.array(speeds[:-2], dtype=float), 2 + times - times[0], rtol=1e-5)


def test_frames_without_speed_are_context_only(moving_clip: Path) -> None:
    (clip,) = Folder(kind="folder", root=moving_clip).clips()
    holed = replace(
        clip,
        frames=tuple(replace(frame, pose=None, speed=None if i == 4 else 2.0) for i, frame in enumerate(clip.frames)),
    )
    assert target_indices(holed, (-1, 1)) == [1, 2, 3, 4]
    assert target_indices(holed, (-1, 1), measured=True) == [1, 2]
    assert distance(holed, 2, 3) == pytest.approx(2 * (holed.frames[3].time - holed.frames[2].time))
    assert distance(holed, 3, 5) is None
    data = ClipDataset([holed], (48, 96), (-1, 1), fields=frozenset({"distance"}))
    assert [index for _, index in data.targets] == [1, 2]
    assert len(ClipDataset([holed], (48, 96), (-1, 1))) == 4
    found = {finding.name: finding for finding in findings(survey(holed))}
    assert found["missing speeds"].severity == "warning"
    assert "1 of 6 frames have no speed and are context only: 000004" in found["missing speeds"].found
    assert "2 of 4 targets are left" in found["missing speeds"].found
    bare = replace(
        clip,
        frames=tuple(replace(frame, pose=None, speed=2.0 if i % 2 else None) for i, frame in enumerate(clip.frames)),
    )
    with pytest.raises(InputError, match="has a known distance to its context frames at"):
        ClipDataset([bare], (48, 96), (-1, 1), fields=frozenset({"distance"}))


def test_kilometres_an_hour_taken_for_metres_a_second_are_found(moving_clip: Path) -> None:
    (clip,) = Folder(kind="folder", root=moving_clip).clips()
    fast = replace(clip, frames=tuple(replace(frame, pose=None, speed=50.0) for frame in clip.frames))
    found = {finding.name: finding for finding in findings(survey(fast))}
    assert found["speeds"].severity == "warning"
    assert "faster than roads allow" in found["speeds"].found
    assert "180 to 180 km/h" in found["speeds"].found
    impossible = replace(clip, frames=tuple(replace(frame, pose=None, speed=130.0) for frame in clip.frames))
    assert {f.name: f.severity for f in findings(survey(impossible))}["speeds"] == "error"


def test_a_speed_of_zero_while_the_image_moves_is_found(moving_clip: Path) -> None:
    (clip,) = Folder(kind="folder", root=moving_clip).clips()
    still = replace(clip, frames=tuple(replace(frame, pose=None, speed=0.0) for frame in clip.frames))
    found = {finding.name: finding for finding in findings(survey(still))}
    assert "the speed is 0 in 100% of the frames in which the image moves on" in found["speeds"].found
    assert found["speeds"].severity == "error"


def test_the_check_reports_range_and_distance(moving_clip: Path) -> None:
    checked = check(moving_clip)
    (values,) = checked.values()["clips"]
    assert f"{values['distance']:.0f} m" in checked.text()
    assert "km/h" in checked.text()


def test_the_cameras_height_is_given_at_the_import(moving_clip: Path, tmp_path: Path) -> None:
    (folder,) = import_data(moving_clip, tmp_path / "mine", options=("height_m=1.5",))
    (found,) = Folder(kind="folder", root=folder).clips()
    assert found.camera_height == 1.5
    (other,) = Folder(kind="folder", root=folder, height_m=1.8).clips()
    assert other.camera_height == 1.8


def test_another_offset_is_named_before_the_log_is_read(
    moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clip,) = Folder(kind="folder", root=moving_clip).clips()
    log = log_of(tmp_path / "log.csv", clip)
    import_data(moving_clip, tmp_path / "mine", options=(f"speeds={log}", "offset=1.7"))
    capsys.readouterr()
    with pytest.raises(InputError, match=r"another import, with offset=1\.7, not auto; name another folder"):
        import_data(moving_clip, tmp_path / "mine", options=(f"speeds={log}", "offset=auto"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("offset", "told", "advice"),
    [
        (
            "auto",
            "offset=auto finds no offset to clip folder/",
            "Give offset=SECONDS, the logger's time at the first",
        ),
        ("auto", "the log was read as: column 'speed_kmh' in km/h", "Give offset=SECONDS"),
        ("60", "covers none of the frames of clip folder/", "Give another offset."),
    ],
)
def test_a_log_that_does_not_fit_is_a_finding_of_the_check(
    offset: str, told: str, advice: str, moving_clip: Path, tmp_path: Path
) -> None:
    (clip,) = Folder(kind="folder", root=moving_clip).clips()
    options = (f"speeds={log_of(tmp_path / 'log.csv', clip)}", f"offset={offset}")
    checked = check(moving_clip, None, options)
    (found,) = [each for each in checked.clips[0][1] if each.name == "speeds"]
    assert (found.severity, told in found.found, found.advice.startswith(advice)) == ("error", True, True)
    assert all(frame.speed is None for frame in checked.clips[0][0].clip.frames)
    assert "1 error to correct before training" in checked.verdict()
    with pytest.raises(InputError, match=told):
        import_data(moving_clip, tmp_path / "mine", options=options)
