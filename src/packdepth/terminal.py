"""Texts for the terminal: those of strangers without control characters, and errors as one sentence each.

Every verb of the command line runs inside `plain_output`, so that no name in a data set and no value in a checkpoint
can move the cursor, color the screen or change its title. `sentence` is the last word on errors, `worded_warnings` on
warnings.
"""

from __future__ import annotations

import io
import os
import re
import select
import sys
import threading
import traceback
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from packdepth.disk import disk_error
from packdepth.errors import InputError, InputWarning, in_one_line
from packdepth.reading import reason_of

DEBUG = "PACKDEPTH_DEBUG"  # variable of the environment that prints the traceback behind an error; --debug sets it
UNUSABLE, FAULT, MACHINE = 2, 70, 71  # exit status: input that cannot be used; EX_SOFTWARE; EX_OSERR
NO_READER = 128 + 13  # exit status, as that of other programs whose reader has enough: 128 + SIGPIPE
MAX_COMMAND = 120  # characters of a command line that a sentence repeats
SPACES = "\n\t"  # the control characters that may be printed
INVISIBLE = (
    "Cc",
    "Cs",
    "Zl",
    "Zp",
    "Cn",
)  # of Unicode: controls, halves of characters, separators of lines, unassigned
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # change the direction


def plain(text: str) -> str:
    r"""Return a text of one or several lines with its control characters escaped.

    Args:
        text: the text.

    >>> print(plain("one\ntwo \x1b]0;title\x07"))
    one
    two \x1b]0;title\x07
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(repr(each)[1:-1] if _is_hidden(each) else each for each in text)


def _is_hidden(character: str) -> bool:
    """Return whether a character does something to a terminal beside being printed."""
    return character not in SPACES and (unicodedata.category(character) in INVISIBLE or character in TURNING)


class PlainStream:
    r"""A stream of text whose control characters are escaped.

    Args:
        stream: the stream to write to.

    >>> import io
    >>> buffer = io.StringIO()
    >>> print("a\x1b[2J", file=PlainStream(buffer), end="")
    >>> print(buffer.getvalue())
    a\x1b[2J
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text. Characters that the terminal's encoding lacks are escaped, too.

        Args:
            text: the text.
        """
        shown, encoding = plain(text), getattr(self.stream, "encoding", None) or "utf-8"
        if not shown.isascii():
            shown = shown.encode(encoding, "backslashreplace").decode(encoding)
        self.stream.write(shown)
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        """Write lines.

        Args:
            lines: the lines, with their ends.
        """
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def raw(stream: TextIO) -> TextIO:
    """Return the stream behind a `PlainStream`, for what packdepth itself draws, such as bars of progress.

    Args:
        stream: a stream of any class.

    >>> raw(sys.stderr) is sys.stderr
    True
    """
    return stream.stream if isinstance(stream, PlainStream) else stream


@contextmanager
def plain_output() -> Iterator[None]:
    r"""Escape the control characters of all that is printed in a block.

    >>> with plain_output():
    ...     print("a\x1b[2J")
    a\x1b[2J
    """
    before = sys.stdout, sys.stderr
    streams: list[Any] = [PlainStream(raw(stream)) for stream in before]
    sys.stdout, sys.stderr = streams
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def flush_output() -> None:
    """Write what is still in the buffers of the output, so that it does not fail when Python ends.

    Raises BrokenPipeError if the reader of the output, such as `head`, has enough.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def drop_output() -> bool:
    """Point the streams of the output that cannot be written any more to nowhere, so that nothing is left to fail.

    Returns:
        Whether there are any.
    """
    failed = [stream for stream in (sys.stdout, sys.stderr) if stream is not None and _fails(stream)]
    for stream in failed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(failed)


def _fails(stream: TextIO) -> bool:
    """Return whether a stream cannot be written: what is in its buffer, or, as it has no reader, anything."""
    try:
        stream.flush()
        poll = select.poll()  # what has no buffer has failed before, and says nothing now
        poll.register(stream.fileno(), 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    except (AttributeError, io.UnsupportedOperation):  # of Windows, and of a stream without a file
        return False
    except OSError:
        return True


# --- errors -----------------------------------------------------------------------------------------------------

KILLED = re.compile(r"DataLoader worker|process pool was terminated|terminated abruptly")
NO_MEMORY = re.compile(r"out of memory|can't allocate memory|Cannot allocate memory|bad_alloc")


def sentence(error: BaseException, arguments: Sequence[str]) -> tuple[str, int]:
    """Return one sentence for an error that ends a command, and the exit status.

    Args:
        error: the error.
        arguments: the arguments of the command line.

    >>> sentence(InputError("run.yaml: is empty; write it"), ["train", "run.yaml"])
    ('packdepth: run.yaml: is empty; write it', 2)
    >>> text, status = sentence(KeyError("depth"), ["predict", "best", "a.mp4"])
    >>> text.split(";")[0], status
    ("packdepth predict best a.mp4: failed by a fault of packdepth (KeyError: 'depth')", 70)
    """
    if isinstance(error, InputError):  # the message of a worker process is the last line of what it passed on
        text = str(error).strip().split("\n")[-1].removeprefix("packdepth.errors.InputError: ")
        return f"packdepth: {in_one_line(text)}", UNUSABLE
    message, command = f"{type(error).__name__}: {error}", _command(arguments)
    if isinstance(error, MemoryError) or NO_MEMORY.search(message):
        advice = "use smaller images or batches (data.image_size, training.batch_size), or close other programs"
        return f"{command}: needs more memory than there is; {advice}", MACHINE
    if KILLED.search(message):
        advice = "see that there is memory for them, lower data.workers or --processes, and run it again"
        return f"{command}: one of its own processes was killed from outside; {advice}", MACHINE
    if isinstance(error, OSError) and error.filename is not None:
        full = disk_error(error, Path(os.fsdecode(error.filename)))
        if full is not None:
            return f"packdepth: {in_one_line(str(full))}", UNUSABLE
    if isinstance(error, OSError):
        what = f"{error.filename or 'a file'}: {error.strerror or error}"
        return f"packdepth: {in_one_line(what)}; see to it and try again", UNUSABLE
    cause = f"{type(error).__name__}: {reason_of(error)}"
    advice = f"run it again with --debug, or with {DEBUG}=1, for the traceback, and report it"
    return f"{command}: failed by a fault of packdepth ({cause}); {advice}", FAULT


def _command(arguments: Sequence[str]) -> str:
    """Return a command line in a sentence."""
    text = in_one_line(" ".join(["packdepth", *arguments]))
    return text if len(text) <= MAX_COMMAND else f"{text[:MAX_COMMAND]}..."


@contextmanager
def quiet_threads() -> Iterator[list[BaseException]]:
    """Collect the errors that end threads in place of printing their tracebacks, but for `--debug`.

    A library that works in a thread, such as TensorBoard's writer, raises its error again where it is waited for.

    Yields:
        The errors so far.

    >>> with quiet_threads() as errors:
    ...     thread = threading.Thread(target=lambda: 1 / 0)
    ...     thread.start()
    ...     thread.join()
    >>> errors
    [ZeroDivisionError('division by zero')]
    """
    errors: list[BaseException] = []

    def collect(ended: threading.ExceptHookArgs) -> None:
        if os.environ.get(DEBUG):
            threading.__excepthook__(ended)
        if ended.exc_value is not None:
            errors.append(ended.exc_value)

    before = threading.excepthook
    threading.excepthook = collect
    try:
        yield errors
    finally:
        threading.excepthook = before


@contextmanager
def worded_warnings() -> Iterator[None]:
    """Print each `InputWarning` in a block as one sentence, without the line of source that Python adds.

    Warnings of libraries, and all with `--debug`, keep that line: they are for whoever looks for their cause.

    >>> with worded_warnings():
    ...     print(warnings.formatwarning("3 frames are left out", InputWarning, __file__, 1), end="")
    packdepth: warning: 3 frames are left out
    """
    before = warnings.formatwarning

    def worded(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if not issubclass(category, InputWarning) or os.environ.get(DEBUG):
            return before(message, category, filename, lineno, line)
        return f"packdepth: warning: {in_one_line(str(message))}\n"

    warnings.formatwarning = worded
    try:
        yield
    finally:
        warnings.formatwarning = before


def print_cause(error: BaseException) -> None:
    """Print the traceback of an error with all its causes, if the environment asks for it.

    Args:
        error: the error.
    """
    if not os.environ.get(DEBUG):
        return
    each: BaseException | None = error
    while each is not None:
        each.__suppress_context__ = False
        each = each.__cause__ or each.__context__
    traceback.print_exception(error)
