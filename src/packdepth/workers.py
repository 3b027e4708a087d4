"""The cores of this machine, and pools of worker processes that end with the process that has started them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import active_children, get_context
from pathlib import Path
from types import FrameType
from typing import Any

from packdepth.interruption import die_with_parent

CGROUP = Path("/sys/fs/cgroup")  # limits of a container, in the files of cgroup 2
UNLIMITED = "max"  # in these files
LEAVE_SECONDS = 3.0  # for a worker to leave its task when it is terminated, before it ends itself


def cores() -> int:
    """Return the number of processor cores that this process may use, by affinity and by the limit of a container.

    >>> cores() >= 1
    True
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = (CGROUP / "cpu.max").read_text().split()
        if quota != UNLIMITED:
            allowed = min(allowed, max(1, round(int(quota) / int(period))))
    return allowed


@contextmanager
def worker_pool(
    processes: int, prepare: Callable[..., object] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of fresh processes. If the block fails or is interrupted, they leave their tasks and end.

    Args:
        processes: number of processes.
        prepare: function that each process calls first; None for none.
        arguments: its arguments.
    """
    others = set(active_children())
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (prepare, arguments)) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            workers = [child for child in active_children() if child not in others]
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join(2 * LEAVE_SECONDS)
                worker.kill()
            raise


def begin_loading(worker: int) -> None:
    """Prepare a process that loads samples.

    Args:
        worker: number of the process, which torch gives.
    """
    _heed_parent()


def _begin(prepare: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    """Prepare a worker of a pool."""
    _heed_parent()
    if prepare is not None:
        prepare(*arguments)


def _heed_parent() -> None:
    """Let this process leave its task when it is terminated or its parent ends, which also decides on Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    die_with_parent(signal.SIGTERM)


def _leave(number: int, frame: FrameType | None) -> None:
    """Leave the task of a worker, so that it removes what it has not finished, and end, whoever catches that."""
    end = threading.Timer(LEAVE_SECONDS, os._exit, (128 + number,))
    end.daemon = True
    end.start()
    sys.exit(128 + number)
