"""Interruption of commands by signals: what was written stays, the next command is named, and no process is left over.

SLURM, Docker, Kubernetes and `timeout` end a command by SIGTERM, a lost terminal by SIGHUP, Ctrl-C by SIGINT. All of
them become `Interrupted`, a KeyboardInterrupt, which unwinds the command like an error.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

HEEDED = ("SIGINT", "SIGTERM", "SIGHUP")  # by name, because Windows has no SIGHUP
AGAIN_SECONDS = 3.0  # after which a second signal ends the process at once; earlier, it is an echo of the first one
WATCH_SECONDS = 1.0  # between looks at the parent, where the system does not end orphans itself
DIES_WITH_PARENT = "PACKDEPTH_DIES_WITH_PARENT"  # environment of a process that one of ours has started
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")  # environment of processes that train together
PR_SET_PDEATHSIG = 1  # of Linux's prctl
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has no SIGKILL, and ends a process by SIGTERM at once


class Interrupted(KeyboardInterrupt):
    """A command that a signal has ended.

    Args:
        number: the number of the signal.

    >>> Interrupted(15).status
    143
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number

    @property
    def status(self) -> int:
        """The exit status of the command, as shells give it: 128 + the number of the signal."""
        return 128 + self.number


class Signals:
    """The signals that a process has received since it began to heed them.

    Attributes:
        received: the number of the first signal; None before.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._process, self._time = os.getpid(), 0.0
        self._handled: list[int] = []

    def install(self) -> None:
        """Heed signals from now on, also if somebody else has taken them over. Those that are ignored stay ignored."""
        if not self._handled:
            self._handled = [number for number in _numbers() if signal.getsignal(number) != signal.SIG_IGN]
        for number in self._handled:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Raise Interrupted for the first signal."""
        if os.getpid() != self._process:  # a worker that was forked: it has nothing to say
            os._exit(128 + number)
        if self.received is None:
            self.received, self._time = number, time.monotonic()
            raise Interrupted(number)
        if time.monotonic() - self._time > AGAIN_SECONDS:
            os._exit(128 + number)


_active: Signals | None = None


@contextmanager
def heeding_signals() -> Iterator[Signals]:
    """Turn signals that end a process into `Interrupted` until the block ends. Only the main thread can do that.

    >>> with heeding_signals() as signals:
    ...     signals.received
    """
    global _active
    if _active is not None or threading.current_thread() is not threading.main_thread():
        yield _active or Signals()
        return
    before = {number: signal.getsignal(number) for number in _numbers()}
    _active = Signals()
    try:
        _active.install()
        yield _active
    finally:
        _active = None
        for number, handler in before.items():
            signal.signal(number, handler)


def heed_again() -> None:
    """Heed signals again after a library has put its own handlers in place of ours; nothing if they are not heeded."""
    if _active is not None and threading.current_thread() is threading.main_thread():
        _active.install()


def interrupting(status: int) -> int | None:
    """Return the number of the signal that has interrupted a process, by its exit status; None for another end.

    Args:
        status: exit status, as `subprocess` gives it: negative for a process that a signal has killed.

    >>> interrupting(143), interrupting(-2), interrupting(2), interrupting(-9)
    (15, 2, None, None)
    """
    number = -status if status < 0 else status - 128
    return number if number in _numbers() else None


def _numbers() -> list[int]:
    """Return the numbers of the signals that are heeded, of those that the system has."""
    return [int(getattr(signal, name)) for name in HEEDED if hasattr(signal, name)]


def say_interrupted(arguments: Sequence[str]) -> None:
    """Print the command that goes on with an interrupted one, unless another process of ours says it.

    Args:
        arguments: the arguments of the interrupted command.
    """
    itself = str(os.getpid())
    starter = os.environ.get(DIES_WITH_PARENT, itself)  # the first of processes that train together starts the others
    if starter == itself and is_first_rank():
        print(f"interrupted: go on with `{going_on(arguments)}`", file=sys.stderr)


def is_first_rank() -> bool:
    """Return whether this process is the first of those that train together, by the environment of its launcher.

    torchrun, `srun` and Lightning tell it in the environment, before there is a trainer; a process alone is the first.
    """
    return all(os.environ.get(name, "0") == "0" for name in RANKS)


def started_by_first_rank() -> bool:
    """Return whether the first of the processes that train together has started this one, after it checked the data."""
    return DIES_WITH_PARENT in os.environ and not is_first_rank()


def going_on(arguments: Sequence[str]) -> str:
    """Return the command that goes on with an interrupted one: the same, for a training with --resume.

    Args:
        arguments: the arguments of the interrupted command.

    >>> going_on(["city", "my city", "--drives", "3"])
    "packdepth city 'my city' --drives 3"
    """
    resume = "train" in arguments[:2] and "--resume" not in arguments and _can_resume(arguments)
    return shlex.join(["packdepth", *arguments, *(["--resume"] if resume else [])])


def _can_resume(arguments: Sequence[str]) -> bool:
    """Return whether an interrupted training has written something that --resume takes."""
    output = None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, value = argument.partition("=")
        if name in ("-o", "--output"):
            output = Path(value or following)
    if output is None:
        return False
    states = (output / "last" / "trainer.ckpt", output / "trainer.ckpt", output / "stage1" / "last" / "trainer.ckpt")
    return any(state.exists() for state in states) or (output / "run.yaml").exists()


# --- processes ----------------------------------------------------------------------------------------------------


def die_with_parent(number: int = KILL) -> None:
    """Let this process end when the one that has started it ends, however that happens.

    Linux does that itself; elsewhere a thread looks after the parent.

    Args:
        number: the signal that it gets then. A process with a handler that ends it, whatever happens, takes SIGTERM,
            and so removes its temporary files.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it has ended just now
            os.kill(os.getpid(), number)
        return
    threading.Thread(target=_watch, args=(parent, number), daemon=True).start()


def _watch(parent: int, number: int) -> None:
    """Send this process a signal when its parent is no longer the one that it was."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os.kill(os.getpid(), number)
