"""What the doctor says of a machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from packdepth import __version__
from packdepth.cli import main
from packdepth.doctor import Facts, disk_speed

GOOD = Facts(
    torch="2.13.0+cu128",
    cuda_build="12.8",
    gpus=("NVIDIA H100, 80.0 GB",),
    cores=8,
    threads=8,
    memory=60 * 10**9,
    disk=200 * 10**9,
    disk_speed=1e9,
    shared=10**10,
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gpus": ()}, "is built for CUDA 12.8, but finds no GPU"),
        ({"gpus": (), "cuda_build": None}, "there is no GPU"),
        ({"threads": 1, "omp_threads": "1"}, "1 of 8 cores (OMP_NUM_THREADS=1): set OMP_NUM_THREADS=8"),
        ({"threads": 16}, "16 threads on 8 cores"),
        ({"memory": 10**9}, "only 1.0 GB of memory"),
        ({"shared": 64 * 10**6}, "only 64.0 MB of shared memory are free: start the container with --shm-size"),
        ({"disk": 10**9}, "only 1.0 GB of disk"),
        ({"disk_speed": 10e6}, "writes 10.0 MB per second, which is slow"),
        ({"disk_speed": None}, "this folder cannot be written to"),
    ],
)
def test_each_limit_is_one_sentence_of_advice(change: dict[str, object], said: str) -> None:
    assert GOOD.advice() == []
    assert GOOD.text().endswith("nothing limits speed here that packdepth knows of")
    (sentence,) = replace(GOOD, **change).advice()  # type: ignore[arg-type]
    assert said in sentence
    assert sentence in replace(GOOD, **change).text()  # type: ignore[arg-type]


def test_an_extra_is_installed_or_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    text = replace(GOOD, extras={"ros": ["rosbags"], "hub": []}).text()
    assert "extra hub           installed\n" in text
    assert "extra ros           pip install 'packdepth[ros]'  (lacks rosbags)\n" in text


def test_a_folder_that_is_not_there_has_no_speed(tmp_path: Path) -> None:
    assert disk_speed(tmp_path / "none" / "measured.bin") is None
    assert list(tmp_path.iterdir()) == []


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["packdepth"] == __version__
    assert found["cores"] >= 1
    assert isinstance(found["advice"], list)
    assert list(tmp_path.iterdir()) == []  # what was written to measure the disk is gone
