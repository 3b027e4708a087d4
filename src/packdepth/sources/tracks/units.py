"""Units of speeds and of times, as people and loggers write them."""

from __future__ import annotations

import re
from typing import NamedTuple

KMH, MPH, KNOT = 1 / 3.6, 0.44704, 1852 / 3600  # metres per second
FOOT = 0.3048  # metres
SPEED_UNITS: dict[str, float] = {
    "m/s": 1.0,
    "km/h": KMH,
    "mph": MPH,
    "knots": KNOT,
    "cm/s": 1e-2,
    "mm/s": 1e-3,
    "ft/s": FOOT,
}
"""Units of speed by the name that `unit` takes, in metres per second."""

_SPEED_PATTERNS = {  # what a header or a cell may call a unit, in lower case
    "km/h": r"km/?h|km/hr|kph|kmph|km[_ ]h|km_per_h(our)?|km\s*per\s*h(our)?|kmt|km\.h\^?-1|km\s*h\^?-1|"
    r"kilomet(er|re)s?\s*(per|/|an)\s*hour|kmh-1|км/ч",
    "mph": r"mph|mi/h|mi/hr|miles\s*(per|/|an)\s*hour|miles_per_hour",
    "m/s": r"m/s(ec)?|mps|m_s|ms\^?-1|m\.s\^?-1|m\s*s\^?-1|m\*s-1|m_per_s|met(er|re)s?(\s*/\s*|[\s_]per[\s_])sec(ond)?",
    "knots": r"knots?|kn|kts?|kt",
    "cm/s": r"cm/s(ec)?|cm_s|cms|cm_per_s",
    "mm/s": r"mm/s(ec)?|mm_s|mms|mm_per_s",
    "ft/s": r"ft/s(ec)?|ft_s|fps|feet(\s*/\s*|[\s_]per[\s_])sec(ond)?",
}
_TIME_PATTERNS = {  # the same for times; the value is in seconds
    86400.0: r"days|tage",  # "day" is that of "time of day"
    3600.0: r"h|hrs?|hours?|stunden?|heures?|horas?",
    60.0: r"min|mins|minutes?|minuten?|minutos?",
    1.0: r"s|sec|secs|seconds?|sekunden?|segundos?|secondes?",
    1e-3: r"ms|msecs?|millis|milliseconds?|millisekunden?",
    1e-6: r"us|µs|μs|usecs?|micros|microseconds?",
    1e-9: r"ns|nsecs?|nanos|nanoseconds?",
}

_LENGTH_PATTERNS = {  # the same for lengths; the value is in metres
    1e3: r"km|kilomet(er|re)s?",
    1.0: r"m|met(er|re)s?|metern?",
    1e-2: r"cm|centimet(er|re)s?",
    1e-3: r"mm|millimet(er|re)s?",
    FOOT: r"ft|foot|feet",
}

_PART = r"\d*[.,]?\d+(?:/[1-9]\d*|e-?\d)?"  # number before a unit that makes another unit of it: [0.1 s], 1/256 km/h
_TIMES = re.compile(r"(?:(?<![^\W_])x\s*|(?<![^\W_])times[\s_]*|[*×]\s*)(10+)(?![^\W_]|[.,/^]\d)")  # x10, times_100
_RATE = re.compile(r"\d+(?:[.,]\d+)?\s?hz")
_UNIT = "\0"  # stands for the unit in a text that is searched for other numbers
_DOUBT = re.compile(
    r"(?:(?<![^\W_])(?:x|e|times[\s_]*)|[*×/^])\s?-?\d|\d\s?(?:x(?![^\W_])|[*×])|"  # a sign of a factor
    r"\d[.,]\d|(?<![^\s_\[(])[.,]\d|tenth|hundredth|thousandth|"  # a fraction
    rf"(?<![^\W_])\d{{2,}}[\W\d_]*{_UNIT}|{_UNIT}.*?(?<![^\W_])\d{{2,}}(?![^\W_])"  # an integer from 10 on at the unit
)  # of numbers that may be factors; others, such as in wheel_speed_1_kmh and Speed(OBD) 0x0D (km/h), are labels


class SpeedUnit(NamedTuple):
    """Unit in which the numbers of a log count speeds: a multiple of a named one.

    >>> print(SpeedUnit("km/h", 0.1), SpeedUnit("km/h"), f"{SpeedUnit('km/h', 0.1).meters_per_second:.4f}")
    0.1 km/h km/h 0.0278
    """

    name: str  # one of `SPEED_UNITS`
    multiple: float = 1.0  # size of the unit, in units of `name`

    @property
    def meters_per_second(self) -> float:
        """Size of the unit, in metres per second."""
        return self.multiple * SPEED_UNITS[self.name]

    def __str__(self) -> str:
        """Return the unit as a header may write it."""
        return self.name if self.multiple == 1 else f"{self.multiple:g} {self.name}"


def speed_unit(text: str) -> str | None:
    """Return the name of the unit of speed in a text; None if it names none or several.

    Args:
        text: a header, a cell, or what was given as `unit`.

    >>> [speed_unit(text) for text in ("speed_kmh", "Speed (mph)", "v [m/s]", "Geschwindigkeit [km/h]", "velocity")]
    ['km/h', 'mph', 'm/s', 'km/h', None]
    """
    found = {unit for unit, pattern in _SPEED_PATTERNS.items() if _named(pattern, text)}
    return found.pop() if len(found) == 1 else None


def scaled_speed_unit(text: str) -> SpeedUnit | None:
    """Return the unit of speed in a text with its factor; None if it is unclear whether a number in it is a factor.

    A number directly before the unit makes another unit of it. A power of ten after "x", "*" or "times" says how many
    times the speeds the numbers are.

    Args:
        text: a header, or what was given as `unit`. None is returned, too, if it names no unit or several.

    >>> for text in ("Speed (0.1 km/h)", "speed_kmh_x10", "wheel_speed_2_kmh", "Speed (km/h) 0.1"):
    ...     print(scaled_speed_unit(text))
    0.1 km/h
    0.1 km/h
    km/h
    None
    """
    name = speed_unit(text)
    word = None if name is None else _named(_SPEED_PATTERNS[name], text)
    if name is None or word is None or _is_doubtful(word):
        return None
    return SpeedUnit(name, _multiple(word))


def time_unit(text: str) -> float | None:
    """Return the unit of time that a header names, in seconds; None if it names none or several.

    Args:
        text: a header. Its unit may have a factor, as in [0.1 s]; other numbers, such as those of dates, are ignored.

    >>> [time_unit(text) for text in ("timeMs", "Time (s)", "time [0.1 s]", "time")]
    [0.001, 1.0, 0.1, None]
    """
    words = {unit: _named(pattern, text) for unit, pattern in _TIME_PATTERNS.items()}
    found = [unit * _multiple(word) for unit, word in words.items() if word is not None]
    return found[0] if len(found) == 1 else None


def length_unit(text: str) -> float | None:
    """Return the unit of length that a header names, in metres; None if it names none or several.

    Args:
        text: the header.

    >>> [length_unit(text) for text in ("x [m]", "pos_x_mm", "position.x", "x_m_s")]
    [1.0, 0.001, None, None]
    """
    if speed_unit(text) is not None:
        return None
    found = [unit for unit, pattern in _LENGTH_PATTERNS.items() if _named(pattern, text)]
    return found[0] if len(found) == 1 else None


def split_words(name: str) -> str:
    """Return a name with a space between its words where a capital letter begins one.

    Args:
        name: name of a column.

    >>> split_words("GpsSpeed_kmh")
    'Gps Speed_kmh'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)


def _named(pattern: str, text: str) -> re.Match[str] | None:
    """Return where a text names a unit by a word of its own, with the number that makes another unit of it as `part`.

    A word stands between the ends of the text, spaces, underscores, brackets and, at its beginning, capital letters. An
    integer is such a number at the beginning of brackets only: in wheel_speed_2_kmh, it is a label.
    """
    edge = r"\s_\[\](){},;:|"
    number = rf"(?:(?:^|[\[(])\s*|(?<![^\s_])(?=\d*[.,/e]))(?P<part>{_PART})[\s_]*"
    word = re.compile(rf"(?:{number}|(?<![^{edge}-]))(?:{pattern})(?:/bit|/lsb)?(?=$|[{edge}]|\s*[*×]\s*\d)")
    found = (word.search(each.strip().lower()) for each in (text, split_words(text)))
    return next((match for match in found if match is not None), None)


def _multiple(word: re.Match[str]) -> float:
    """Return the factor of a unit that `_named` has found: 0.1 for [0.1 s], and for s x10."""
    whole, _, parts = (word["part"] or "1").replace(",", ".").partition("/")
    times = _TIMES.search(word.string)
    return float(whole) / float(parts or 1) / float(times[1] if times else 1)


def _is_doubtful(word: re.Match[str]) -> bool:
    """Return whether it is unclear if a number around a unit that `_named` has found is a factor of it."""
    around = word.string[: word.start()] + _UNIT + word.string[word.end() :]
    rest = _TIMES.sub("", _RATE.sub("", around), count=1)
    twice = word["part"] is not None and _TIMES.search(word.string) is not None
    return twice or _multiple(word) == 0 or _DOUBT.search(rest) is not None
