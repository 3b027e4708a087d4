"""The one error a user is meant to read."""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot be used: a file, a field of a run file, an argument.

    The message is one sentence that names the file and the field, says what was found and what to do.
    The command line prints it and exits with status 2.
    """


def check_least(option: str, value: float, least: float) -> None:
    """Raise InputError, naming the option of the command line, for a value below the least."""
    if value < least:
        raise InputError(f"--{option}: is {value}; it must be at least {least}")
