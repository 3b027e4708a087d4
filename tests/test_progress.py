"""Progress of long loops."""

from __future__ import annotations

import re
import time

import pytest

from packdepth import progress as module
from packdepth.progress import Pace, announced, counting, progress


class Time:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(module, "time", time)
    return time


def test_without_a_terminal_lines_say_how_long_it_takes(clock: Time, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten steps of four seconds: the first line after five seconds, the next ones every thirty, and one at the end."""
    lines = []
    for _ in progress(range(25), "frames", 25):
        lines.append(capsys.readouterr().err)
        clock.now += 4
    lines.append(capsys.readouterr().err)
    assert {i: line for i, line in enumerate(lines) if line} == {
        2: "frames 2/25  0.25/s  1:32 left\n",
        10: "frames 10/25  0.25/s  1:00 left\n",
        18: "frames 18/25  0.25/s  0:28 left\n",
        25: "frames 25/25\n",
    }


def test_steps_are_counted_in_groups(clock: Time, capsys: pytest.CaptureFixture[str]) -> None:
    with counting("rendering", 100) as advance:
        clock.now += 10
        advance(40)
        advance(60)
    assert capsys.readouterr().err == "rendering 40/100  4/s  0:15 left\nrendering 100/100\n"


def test_a_resumed_loop_has_the_pace_of_its_own_steps(clock: Time) -> None:
    pace = Pace(total=100, before=60)
    clock.now += 10
    assert pace.rate(80) == 2
    assert pace.seconds_left(80) == 10
    assert pace.seconds_left(60) == 0


def test_a_long_step_is_no_silence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines go on during the first step of a loop, and during a block without steps; they end with it."""
    monkeypatch.setattr(module, "LINE_SECONDS", 0.02)
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.0)
    with counting("looking", 1) as advance:
        time.sleep(0.2)
        advance(1)
    assert re.fullmatch(r"(looking 0/1  0:00 so far\n)+looking 1/1\n", capsys.readouterr().err)
    with announced("reading"):
        time.sleep(0.2)
    assert re.fullmatch(r"(reading, 0:00 so far\n)+", capsys.readouterr().err)
    time.sleep(0.1)
    assert not capsys.readouterr().err
