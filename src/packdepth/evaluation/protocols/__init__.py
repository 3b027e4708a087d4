"""Named protocols, one file per data set, and the lookup by name. Importing this package loads no torch.

A protocol is added by a `Protocol` in a file of this folder, or by an installed package that declares an entry point of
the group `packdepth.protocols`. The entry point has the name of the protocol; its object is a `Protocol`, or a function
or class that returns one when it is called without arguments.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from packdepth.blocks import entry_point, load_entry_point, submodules, used
from packdepth.errors import InputError
from packdepth.evaluation.protocol import Protocol
from packdepth.evaluation.protocol_file import is_protocol_file, read_protocol

OWN = "own"
"""The name under which a network is judged without ground truth (`evaluation.own`). It is no `Protocol`."""
GROUP = "packdepth.protocols"


def find_protocol(name: str) -> Protocol:
    """Return the protocol of this name, one of ours or of an installed package.

    An installed package is imported only if none of our protocols has the name.

    Args:
        name: the name of the protocol, such as "kitti-odometry-clip", or the path of a YAML file with its fields (see
            `evaluation.protocol_file`).

    >>> find_protocol("city").cap
    80.0

    Raises InputError if there is none, or if the file or the package that provides it cannot be used.
    """
    if is_protocol_file(name):
        return read_protocol(Path(name))
    known = our_protocols() | _used_protocols()
    if name in known:
        return known[name]
    installed = entry_point(GROUP, name, "protocol")
    if installed is not None:
        return installed_protocol(installed)
    names = [*protocol_names(), OWN]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    others = "" if close else ", and those of --use and of installed packages"
    raise InputError(
        f"no protocol is named '{name}'{hint}; the protocols are {', '.join(names)}{others}; a file ends in .yaml"
    )


def protocol_names() -> list[str]:
    """Return the names of all protocols: ours, those of --use, those of installed packages, which are not imported.

    >>> "kitti-odometry-clip" in protocol_names()
    True
    """
    return list(dict.fromkeys([*our_protocols(), *_used_protocols(), *sorted(entry_points(group=GROUP).names)]))


def protocols_in_words() -> str:
    """Return a line for each protocol: its name and what it is about. Those of installed packages are not imported.

    >>> "kitti-odometry-clip" in protocols_in_words()
    True
    """
    known = our_protocols() | _used_protocols()
    about = {OWN: "clips without any ground truth, by their video"} | {name: each.about for name, each in known.items()}
    names = [OWN, *protocol_names()]
    width = max(map(len, names))
    return "\n".join(f"  {name:<{width}}  {about.get(name, 'of an installed package')}" for name in names)


def our_protocols() -> dict[str, Protocol]:
    """Return the protocols of the files in this folder by name."""
    return _protocols_of(submodules(__name__))


def _used_protocols() -> dict[str, Protocol]:
    """Return the protocols of the files and modules that the command line names with --use, by name."""
    return _protocols_of(used().values())


def _protocols_of(modules: Iterable[ModuleType]) -> dict[str, Protocol]:
    values = [value for module in modules for value in vars(module).values()]
    return {value.name: value for value in values if isinstance(value, Protocol)}


def installed_protocol(point: EntryPoint) -> Protocol:
    """Import an entry point and return its protocol.

    Args:
        point: an entry point of the group `packdepth.protocols`.

    Raises InputError, which names the package, if that fails or if the result is not a protocol of that name.
    """
    found = load_entry_point(point)
    try:
        protocol = found() if callable(found) else found
    except Exception as error:
        raise InputError(f"protocol '{point.name}': {point.value} fails ({error}); mend it") from error
    if not isinstance(protocol, Protocol) or protocol.name != point.name:
        package = point.dist.name if point.dist else point.module
        what = f"a protocol named '{protocol.name}'" if isinstance(protocol, Protocol) else type(protocol).__name__
        raise InputError(
            f"protocol '{point.name}': the package {package} provides {what} under this name; "
            "let its entry point return the Protocol of this name"
        )
    return protocol
