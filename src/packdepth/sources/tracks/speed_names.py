"""Names of columns of speeds: the camera's own speed, one component of its velocity, or the speed of something else."""

from __future__ import annotations

import re

from packdepth.sources.tracks.table_times import words

SPEED_WORDS = re.compile(
    r"speed|velocity|twist[./]linear|geschwindigkeit|vitesse|velocidad|velocit|snelheid|hastighet|(^|[^a-z])(vel|spd|sog|tempo)([^a-z]|$)|"
    r"(^|[^a-z\[(])v(?![a-z])|(^|[^a-z])v[xyz](?![a-z\d])"  # in brackets it is volts
)
OWN, OTHER = "own", "other"
NOT_OWN = re.compile(
    r"limit|engine|turbine|accura|acceleration|sigma|heading|angular|batter|volt|airspeed|command|target|desired|"
    r"set ?point|cruise|average|maxim|minim|leading|relative|closing|range ?rate|radial|object|obstacle|preceding|"
    r"pedestrian|(front|other) ?(vehicle|car)|(vehicle|car) ?(in front|ahead)|"
    r"(^|[^a-z])(wind|air|fan|sound|rpm|error|std|acc|accel|yaw|cmd|ref|avg|mean|max|min|v?lead|lead ?(vehicle|car)|"
    r"v?rel|obj|other|delta|diff|difference)([^a-z]|$)"
)  # of something else, or not measured
_OF_SPEED = r"(?:v|vel|velocity|speed|spd|linear)"
_AXES = {  # names of the directions of components
    "north": rf"north(ward)?|south(ward)?|nord|{_OF_SPEED}[ ._-]?n",
    "east": rf"east(ward)?|west(ward)?|ost|{_OF_SPEED}[ ._-]?e(?!\d)",
    "down": rf"down(ward)?|up(ward)?|vertical|climb|{_OF_SPEED}[ ._-]?[du]",
    "x": rf"{_OF_SPEED}?x(?!\d| \d[\d.])",  # a factor is none, as in speed_x10 and speed x 0.1
    "y": rf"{_OF_SPEED}?y",
    "z": rf"{_OF_SPEED}?z",
    "side": r"lateral|sideways|leftward|rightward|cross ?track",
}
AXES = {axis: re.compile(rf"(?<![a-z\d])(?:{pattern})(?![a-z])") for axis, pattern in _AXES.items()}
VELOCITIES = (("north", "east", "down"), ("x", "y", "z"))  # axes of a velocity; the last one may be missing
FORWARD = "x"  # axis that points forward in the frame of a vehicle, so that it is often logged alone


def speed_kind(name: str) -> str:
    """Return what a column of a speed holds by its name: `OWN`, `OTHER`, or the axis of a component, of `AXES`.

    Components are those of the camera's own velocity. The forward or longitudinal one is its speed.

    Args:
        name: name of a column that holds speeds by its words or its unit.

    >>> [speed_kind(name) for name in ("speed_kmh", "velE [m/s]", "vx", "longitudinal_velocity", "lead_speed_mps")]
    ['own', 'east', 'x', 'own', 'other']
    """
    if NOT_OWN.search(words(name)):
        return OTHER
    return next((axis for axis, pattern in AXES.items() if pattern.search(words(name))), OWN)
