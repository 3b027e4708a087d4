"""Speeds in messages of ROS: velocities of odometry and twist, fixes of receivers, and any field that is named."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from packdepth.errors import InputError, InputWarning
from packdepth.sources.files import listed
from packdepth.sources.recorded_speeds import Measured, Times
from packdepth.sources.ros_messages import NANOSECONDS, header_of
from packdepth.sources.tracks.positions import (
    ODOMETRY,
    RECEIVER,
    Sensor,
    are_known,
    check_degrees,
    places_of,
    warn_if_coarse,
)
from packdepth.sources.tracks.speed_names import OWN, SPEED_WORDS, speed_kind
from packdepth.sources.tracks.table_times import words
from packdepth.sources.tracks.units import SPEED_UNITS, SpeedUnit, scaled_speed_unit

COMMANDS = re.compile(r"(^|[^a-z])(cmds?|commands?|commanded|set ?points?|desired|teleop|joy|joystick)([^a-z]|$)")
AXES = ("x", "y", "z")  # fields of a vector


class Fields(NamedTuple):
    """Names of the fields of a message that hold its speed and its position, with points between nested ones."""

    speed: str | None  # a velocity (x, y and z), or a speed, in metres per second; None: it follows from positions
    position: str | None = None  # x, y and z in metres
    sensor: Sensor = ODOMETRY  # what tells the positions; messages of a receiver hold latitude and longitude themselves


TYPES = {  # by the type of the message, the ones that tell speeds best first
    "nav_msgs/msg/Odometry": Fields("twist.twist.linear", "pose.pose.position"),
    "geometry_msgs/msg/TwistWithCovarianceStamped": Fields("twist.twist.linear"),
    "geometry_msgs/msg/TwistStamped": Fields("twist.linear"),
    "autoware_vehicle_msgs/msg/VelocityReport": Fields("longitudinal_velocity"),
    "autoware_auto_vehicle_msgs/msg/VelocityReport": Fields("longitudinal_velocity"),
    "gps_msgs/msg/GPSFix": Fields("speed", sensor=RECEIVER),
    "gps_common/msg/GPSFix": Fields("speed", sensor=RECEIVER),
    "geometry_msgs/msg/Twist": Fields("linear"),
    "sensor_msgs/msg/NavSatFix": Fields(None, sensor=RECEIVER),
}
POSES = {  # their metres may be those of a monocular SLAM, so that they are read only if they are named
    "geometry_msgs/msg/PoseStamped": Fields(None, "pose.position"),
    "geometry_msgs/msg/PoseWithCovarianceStamped": Fields(None, "pose.pose.position"),
}


class Filed(NamedTuple):
    """A message of a topic."""

    received: int  # nanoseconds: time at which it was recorded
    content: Any  # object with the fields of the message's type


def speed_topics(types: Mapping[str, str]) -> list[str]:
    """Return the topics that tell a speed, the best first. Commands are none.

    Args:
        types: types of the messages of all topics, by the names of the topics.

    >>> speed_topics({"/fix": "sensor_msgs/msg/NavSatFix", "/cmd_vel": "geometry_msgs/msg/Twist",
    ...               "/odom": "nav_msgs/msg/Odometry", "/imu": "sensor_msgs/msg/Imu"})
    ['/odom', '/fix']
    """
    order = list(TYPES)
    found = [topic for topic, kind in types.items() if kind in TYPES and not _commands(topic)]
    return sorted(found, key=lambda topic: (order.index(types[topic]), topic))


def read_speeds(
    messages: Iterable[Filed], topic: str, kind: str, column: str | None, unit: str | None, path: Path
) -> Measured:
    """Return the speeds that the messages of a topic hold.

    Args:
        messages: the messages, in the order in which they were recorded.
        topic: the topic.
        kind: type of the messages, such as "nav_msgs/msg/Odometry".
        column: the field of the speed, with points between names, such as "twist.linear.x" or "speeds.0"; if None, it
            is known for the types of `TYPES` and `POSES`.
        unit: unit of the speed; if None, the one that the field's name tells, or metres per second in `TYPES`.
        path: the recording, for messages.

    Raises InputError if there is no message, if the field or its unit is not known, and for a speed that is no number.
    Warns if the topic holds commands by its name.
    """
    where = f"{path}: speed: {topic}"
    if _commands(topic):
        warnings.warn(
            f"{where} holds commands by its name, and a vehicle obeys them late or not at all; name a topic of "
            f"measured speeds if there is one",
            InputWarning,
            stacklevel=2,
        )
    reading, rows = None, []
    for received, message in messages:
        reading = reading or _reading(message, kind, column, unit, where)
        times = header_of(message).stamp / NANOSECONDS, received / NANOSECONDS
        rows.append((*times, reading.speed(message), *reading.position(message)))
    if reading is None:
        raise InputError(f"{where} holds no message; name a topic with more")
    table = np.array(rows)
    said = "" if column is None else f", field '{column}' in {reading.unit}"
    return Measured(
        Times(topic, table[:, 0], table[:, 1]), table[:, 2], reading.places(table[:, 3:]), reading.fields.sensor, said
    )


class _Reading(NamedTuple):
    """Reading of the messages of a topic."""

    where: str  # the topic, for messages
    fields: Fields  # fields that hold speeds and positions
    unit: SpeedUnit  # unit of the speeds

    @property
    def by_receiver(self) -> bool:
        """Whether the messages are those of a receiver, which may not know where it is."""
        return self.fields.sensor is RECEIVER

    def speed(self, message: Any) -> float:
        """Return the speed of a message, in metres per second; NaN if it has none."""
        field = self.fields.speed
        if field is None or not self._is_fixed(message):
            return np.nan
        speed = _length(_value(message, field, self.where), field, self.where)
        if not np.isfinite(speed) and not self.by_receiver:
            raise InputError(f"{self.where} has a message whose speed is {speed}, no number; name another topic")
        return speed * self.unit.meters_per_second

    def position(self, message: Any) -> Sequence[float]:
        """Return the position in a message: latitude and longitude, or x, y and z; none if it holds none."""
        if self.by_receiver:
            return (message.latitude, message.longitude) if self._is_fixed(message) else (np.nan, np.nan)
        if self.fields.position is None:
            return ()
        place = _value(message, self.fields.position, self.where)
        return [getattr(place, axis) for axis in AXES]

    def places(self, positions: np.ndarray) -> np.ndarray | None:
        """Return the positions of all messages in metres, [N, D], NaN where unknown; None if they hold none.

        Raises InputError for degrees that are none. Warns of coarse ones, if speeds follow from them.
        """
        if not self.by_receiver:
            return positions if positions.size else None
        known = are_known(*positions.T)
        latitudes, longitudes = positions[known].T
        check_degrees(self.where, latitudes, longitudes)
        if self.fields.speed is None:
            warn_if_coarse(self.where, latitudes, longitudes)
        places = np.full_like(positions, np.nan)
        places[known] = places_of(latitudes, longitudes)
        return places

    def _is_fixed(self, message: Any) -> bool:
        return not self.by_receiver or message.status.status >= 0


def _reading(message: Any, kind: str, column: str | None, unit: str | None, where: str) -> _Reading:
    """Return how messages like this one are read. Raises InputError if their field of the speed is not known."""
    known = (TYPES | POSES).get(kind)
    if known is None and column is None:
        raise InputError(f"{where} has messages of the type {kind}; name the field of the speed as {_choice(message)}")
    chosen = known or Fields(None)
    if column is not None:
        chosen = chosen._replace(speed=column)
    if chosen.speed is None:
        if unit is not None:
            raise InputError(f"{where} tells positions, which have no unit of speed; leave out 'unit'")
        return _Reading(where, chosen, SpeedUnit("m/s"))
    is_number = isinstance(_value(message, chosen.speed, where), Real)
    return _Reading(where, chosen, _unit(chosen.speed, is_number and chosen != known, unit, where))


def _unit(field: str, doubtful: bool, unit: str | None, where: str) -> SpeedUnit:
    """Return the unit of a field. Velocities, and the speeds of known types, are metres per second if none is given."""
    if unit is not None:
        given = scaled_speed_unit(unit)
        if given is None:
            raise InputError(f"unit: '{unit}' is no unit of speed; give one of {', '.join(SPEED_UNITS)}")
        return given
    if not doubtful:
        return SpeedUnit("m/s")
    named = scaled_speed_unit(field.rpartition(".")[2])
    if named is None:
        raise InputError(
            f"{where} does not say in which unit its field '{field}' is; give 'unit': m/s, km/h, mph or knots"
        )
    return named


def _commands(topic: str) -> bool:
    """Return whether a topic holds commands by its name."""
    return COMMANDS.search(words(topic)) is not None


def _value(message: Any, field: str, where: str) -> Any:
    """Return the value of a field, whose name has points between its parts. Numbers count the values of an array."""
    value = message
    for part in field.split("."):
        try:
            value = value[int(part)] if part.isdigit() else getattr(value, part)
        except (AttributeError, IndexError, TypeError):
            raise InputError(f"{where} has no field '{field}'; name that of the speed as {_choice(message)}") from None
    return value


def _length(value: Any, field: str, where: str) -> float:
    """Return the size of a speed, or the length of a velocity."""
    if isinstance(value, Real):
        return abs(float(value))
    if all(hasattr(value, axis) for axis in AXES):
        return float(np.linalg.norm([getattr(value, axis) for axis in AXES]))
    raise InputError(f"{where}: its field '{field}' is no number, and no vector of x, y and z; name a part of it")


def _choice(message: Any) -> str:
    """Return the option that names a field of a message, those that are speeds by their names first."""
    numbers = _number_fields(message)
    names = sorted(numbers, key=lambda name: not (SPEED_WORDS.search(words(name)) and speed_kind(name) == OWN))
    return f"'column': {listed(names)}" if names else "it holds no number; name another topic"


def _number_fields(message: Any, before: str = "") -> Iterator[str]:
    """Yield the fields of a message that are numbers or vectors of x, y and z, with points between the names."""
    for field in fields(message):
        name, value = f"{before}{field.name}", getattr(message, field.name)
        if field.name.startswith("__") or field.name == "header":
            continue
        is_vector = all(hasattr(value, axis) for axis in AXES)
        if is_vector or (isinstance(value, Real) and not isinstance(value, bool)):
            yield name
        elif is_dataclass(value):
            yield from _number_fields(value, f"{name}.")
