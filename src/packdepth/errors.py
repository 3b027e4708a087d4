"""Errors for users."""

from __future__ import annotations

from collections.abc import Iterable

MAX_MESSAGE = 1200  # characters of a message: half of a terminal; a longer one loses its middle


class InputError(ValueError):
    """Input that cannot be used: a file, a field of a run file, an argument.

    The message is one sentence that names the file and the field, what was found, and what to do. The command line
    prints it and exits with status 2.

    Args:
        message: the message; a very long one loses its middle.

    >>> raise InputError("run.yaml: training.epochs: must be a whole number (found 'ten')")
    Traceback (most recent call last):
    packdepth.errors.InputError: run.yaml: training.epochs: must be a whole number (found 'ten')
    """

    def __init__(self, message: str = "") -> None:
        if len(message) > MAX_MESSAGE:  # it quotes what somebody has written
            message = f"{message[: 2 * MAX_MESSAGE // 3]} ... {message[-MAX_MESSAGE // 4 :]}"
        super().__init__(message)


class InputWarning(UserWarning):
    """Input that is used, but perhaps not as it was meant.

    The message is a part of a sentence, as that of `InputError`. The command line prints it on one line.

    >>> issubclass(InputWarning, UserWarning)
    True
    """


def in_one_line(text: str) -> str:
    r"""Return a text with its control characters escaped, so that printing it changes nothing but one line.

    Args:
        text: a text that another person may have written, such as a value in a checkpoint.

    >>> print(in_one_line("fine\nnot \x1b[31mfine"))
    fine\nnot \x1b[31mfine
    """
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def check_least(option: str, value: float, least: float) -> None:
    """Raise InputError, which names the option of the command line, for a value below the smallest one.

    Args:
        option: name of the option, without dashes.
        value: the value.
        least: the smallest valid value.

    >>> check_least("frames", 3, least=1)
    """
    if value < least:
        raise InputError(f"--{option}: is {value}; it must be at least {least}")


def check_length(name: str, value: float, unit: str) -> None:
    """Raise InputError, which names the argument, for a length that is not positive and finite.

    Args:
        name: name of the argument, or of the option with its dashes.
        value: the length.
        unit: its unit, as the end of a sentence.

    >>> check_length("thin", 0.0, "in the unit of depth")
    Traceback (most recent call last):
    packdepth.errors.InputError: thin 0: is no length; give a positive number in the unit of depth
    """
    if not 0 < value < float("inf"):
        raise InputError(f"{name} {value:g}: is no length; give a positive number {unit}")


def check_confidence(name: str, value: float) -> None:
    """Raise InputError, which names the argument, for a confidence beyond [0, 1].

    Args:
        name: name of the argument, or of the option with its dashes.
        value: the confidence.

    >>> check_confidence("min_confidence", 0.5)
    """
    if not 0 <= value <= 1:
        raise InputError(f"{name} {value:g}: is no confidence; give a number from 0 to 1")


def check_choice(name: str, value: object, valid: Iterable[str]) -> None:
    """Raise InputError, which lists the valid names, for a choice that is none of them.

    Args:
        name: name of the argument.
        value: the choice.
        valid: the valid names.

    >>> check_choice("padding", "zero", ["border", "zeros"])
    Traceback (most recent call last):
    packdepth.errors.InputError: padding cannot be 'zero': valid names are border, zeros
    """
    names = list(valid)
    if value not in names:
        raise InputError(f"{name} cannot be {value!r}: valid names are {', '.join(names)}")
