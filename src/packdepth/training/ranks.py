"""Several processes that train together: none of them waits for ever for another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from lightning.pytorch.strategies import DDPStrategy

from packdepth.errors import InputError
from packdepth.interruption import DIES_WITH_PARENT

WAIT = "PACKDEPTH_WAIT_SECONDS"  # environment: how long a process waits for the others, in place of WAIT_SECONDS
WAIT_SECONDS = 900.0  # longer than the validation and the writing of a checkpoint, which others wait for; chosen
LOST = ("Timed out", "timed out", "Connection closed by peer", "Connection reset by peer", "Broken pipe")


def wait_seconds() -> float:
    """Return how long a process waits for the others, in seconds."""
    return float(os.environ.get(WAIT, WAIT_SECONDS))


def ddp_strategy(has_unused: bool) -> DDPStrategy:
    """Return Lightning's strategy for several processes, which end with the first one and wait for a limited time.

    Args:
        has_unused: whether a network has weights that a step may leave unused.
    """
    os.environ.setdefault(DIES_WITH_PARENT, str(os.getpid()))  # for those that Lightning starts
    return DDPStrategy(find_unused_parameters=has_unused, timeout=timedelta(seconds=wait_seconds()))


@contextmanager
def ranks_in_words(output: Path, processes: int) -> Iterator[None]:
    """Turn the errors of a process that has lost another one into InputError.

    Args:
        output: folder of the run.
        processes: number of processes that train together.
    """
    try:
        yield
    except RuntimeError as error:
        if processes == 1 or not any(words in str(error) for words in LOST):
            raise
        raise InputError(
            f"{output}: another of the {processes} processes has ended, or did not answer for {wait_seconds():g} "
            f"seconds ({WAIT} changes that); see its message, and go on with --resume"
        ) from error
