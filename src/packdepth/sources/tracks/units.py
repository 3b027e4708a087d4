"""Units of speeds and of times, as people and loggers write them."""

from __future__ import annotations

import re

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
    "km/h": r"km/?h|km/hr|kph|kmph|km[_ ]h|km_per_h(our)?|km\s*per\s*h(our)?|kmt|km\.h-1|km\s*h-1|"
    r"kilomet(er|re)s?\s*(per|/|an)\s*hour|kmh-1|км/ч",
    "mph": r"mph|mi/h|mi/hr|miles\s*(per|/|an)\s*hour|miles_per_hour",
    "m/s": r"m/s(ec)?|mps|m_s|ms-1|m\.s-1|m\s*s-1|m\*s-1|m_per_s|met(er|re)s?(\s*/\s*|[\s_]per[\s_])sec(ond)?",
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


_MULTIPLE = re.compile(r"[\[(]\s*(\d+(?:[.,]\d+)?)\s*([^\W\d]+)\s*[\])]")  # such as [0.1 s] or (100ns)


def speed_unit(text: str) -> str | None:
    """Return the unit of speed that a text names; None if it names none or several.

    Args:
        text: a header, a cell, or what was given as `unit`.

    >>> [speed_unit(text) for text in ("speed_kmh", "Speed (mph)", "v [m/s]", "Geschwindigkeit [km/h]", "velocity")]
    ['km/h', 'mph', 'm/s', 'km/h', None]
    """
    found = {unit for unit, pattern in _SPEED_PATTERNS.items() if _named(pattern, text)}
    return found.pop() if len(found) == 1 else None


def time_unit(text: str) -> float | None:
    """Return the unit of time that a header names, in seconds; None if it names none or several.

    Args:
        text: a header. Its unit may be a multiple in brackets, such as [0.1 s].

    >>> [time_unit(text) for text in ("timeMs", "Time (s)", "time [0.1 s]", "time")]
    [0.001, 1.0, 0.1, None]
    """
    multiple = _MULTIPLE.search(text)
    if multiple is not None:
        unit = time_unit(multiple[2])
        return None if unit is None else float(multiple[1].replace(",", ".")) * unit
    found = {unit for unit, pattern in _TIME_PATTERNS.items() if _named(pattern, text)}
    return found.pop() if len(found) == 1 else None


def split_words(name: str) -> str:
    """Return a name with a space between its words where a capital letter begins one.

    Args:
        name: name of a column.

    >>> split_words("GpsSpeed_kmh")
    'Gps Speed_kmh'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)


def _named(pattern: str, text: str) -> bool:
    """Return whether a text holds a pattern as a word of its own.

    A word stands between the ends of the text, spaces, underscores, brackets and, at its beginning, capital letters.
    """
    word = rf"(?:^|[\s_\[\](){{}},;:|-])(?:{pattern})(?:$|[\s_\[\](){{}},;:|])"
    return any(re.search(word, each.strip().lower()) is not None for each in (text, split_words(text)))
