"""The run files that are part of packdepth: found from any folder, listed, and each says which data it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from packdepth.cli import main
from packdepth.config import load_run
from packdepth.errors import InputError
from packdepth.run_files import read_yaml, run_files

NAMING_DATA = [path for path in run_files() if "PACKDEPTH_DATA" in path.read_text()]
NAME = Path("configs/kitti_odometry_clip.yaml")


@pytest.mark.parametrize("path", NAMING_DATA, ids=lambda path: path.stem)
def test_a_run_file_says_which_data_it_needs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PACKDEPTH_DATA", raising=False)
    with pytest.raises(InputError) as error:
        read_yaml(path)
    origin, _, advice = str(error.value).partition(": the environment variable PACKDEPTH_DATA is not set; ")
    assert origin == str(path)
    assert "set it to the folder that holds " in advice
    assert "\n" not in advice


def test_run_files_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKDEPTH_DATA", "data")
    (path,) = (path for path in run_files() if path.name == NAME.name)
    monkeypatch.chdir(tmp_path)
    assert load_run(NAME) == load_run(path)
    NAME.parent.mkdir()
    NAME.write_text("data: mine")
    with pytest.raises(InputError, match=rf"^{NAME}: data: must be a block"):
        load_run(NAME)


def test_run_files_are_listed_with_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs"]) == 0
    paragraphs = capsys.readouterr().out.split("\n\n")
    assert len(paragraphs) == len(run_files()) + 1
    listed = next(text for text in paragraphs if text.startswith(str(NAME)))
    assert listed.splitlines()[1].startswith("  51 gray frames of KITTI odometry, sequence 06: metric depth")
