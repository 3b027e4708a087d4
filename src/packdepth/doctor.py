"""Facts about this machine, and limits of its speed: `packdepth doctor`."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from packdepth import __version__
from packdepth.disk import size_in_words, unfinished
from packdepth.errors import InputError
from packdepth.workers import CGROUP, UNLIMITED, cores

SHARED = Path("/dev/shm")
SAMPLE_BYTES = 16_000_000  # written to measure the disk: a second on a slow one
SLOW_DISK = 50e6  # bytes per second: a frame of 1 MB for each of 50 images that a CPU trains on in a second
LITTLE_DISK = 5e9  # bytes: ten checkpoints of PackNet 1A with their trainer's state, and the frames of a long video
LITTLE_MEMORY = 3e9  # bytes: what a training with images of 192x640 in batches of four takes on a CPU
LITTLE_SHARED = 0.5e9  # bytes: two workers, which hand over batches in it; Docker gives 64 MB
NO_EXTRAS = ("dev", "semantic")  # the tools of development, and the older name of `transformers`


@dataclass(frozen=True)
class Facts:
    """Facts about a machine and an installation.

    >>> Facts(torch="2.13.0+cpu").cuda_build is None
    True
    """

    packdepth: str = __version__  # version
    python: str = ""  # version
    system: str = ""  # operating system and processor
    torch: str = ""  # version
    cuda_build: str | None = None  # version of CUDA that torch was built for; None if for CPUs alone
    gpus: tuple[str, ...] = ()  # names of the GPUs that torch can use, with their memory
    extras: dict[str, list[str]] = field(default_factory=dict)  # packages that each extra lacks here, by the extra
    cores: int = 1  # processor cores that this process may use
    threads: int = 1  # threads that torch computes with
    omp_threads: str | None = None  # OMP_NUM_THREADS of the environment
    memory: int | None = None  # bytes that are free
    disk: int = 0  # bytes that are free in this folder
    disk_speed: float | None = None  # bytes per second of writing here; None where this folder is not to be written to
    shared: int | None = None  # bytes that are free in /dev/shm; None where there is none

    def advice(self) -> list[str]:
        """Return one sentence for each thing that limits speed here, or will stop a training.

        >>> Facts(cuda_build="12.8", cores=8, threads=1, omp_threads="1").advice()[1].split(":")[0]
        'torch computes with 1 of 8 cores (OMP_NUM_THREADS=1)'
        """
        found = []
        if self.cuda_build is not None and not self.gpus:
            found.append(
                f"torch is built for CUDA {self.cuda_build}, but finds no GPU: see that nvidia-smi lists one, or "
                f"install the CPU build, which is 5 GB smaller"
            )
        elif not self.gpus:
            found.append("there is no GPU: trainings of minutes work well, and large networks take days")
        if self.threads < self.cores:
            why = "" if self.omp_threads is None else f" (OMP_NUM_THREADS={self.omp_threads})"
            found.append(
                f"torch computes with {self.threads} of {self.cores} cores{why}: set OMP_NUM_THREADS={self.cores}, "
                f"unless several processes share them"
            )
        if self.threads > self.cores:
            found.append(
                f"torch computes with {self.threads} threads on {self.cores} cores, which wait for each other: set "
                f"OMP_NUM_THREADS={self.cores}"
            )
        if self.memory is not None and self.memory < LITTLE_MEMORY:
            found.append(
                f"only {size_in_words(self.memory)} of memory are free: close other programs, or train with smaller "
                f"images or batches (data.image_size, training.batch_size)"
            )
        if self.shared is not None and self.shared < LITTLE_SHARED:
            found.append(
                f"only {size_in_words(self.shared)} of shared memory are free: start the container with "
                f"--shm-size=2g, or train with data.workers=0"
            )
        if self.disk < LITTLE_DISK:
            found.append(f"only {size_in_words(self.disk)} of disk are free here: write outputs to another disk")
        if self.disk_speed is None:
            found.append("this folder cannot be written to: name outputs elsewhere")
        elif self.disk_speed < SLOW_DISK:
            found.append(
                f"this disk writes {size_in_words(self.disk_speed)} per second, which is slow: keep data and outputs "
                f"on a local disk, or keep images in memory (data.cache=true)"
            )
        return found

    def text(self) -> str:
        """Return the facts in lines, and the advice below them."""
        gpus = ", ".join(self.gpus) or "none"
        build = "for CPUs" if self.cuda_build is None else f"for CUDA {self.cuda_build}"
        rows = [
            ("packdepth", self.packdepth),
            ("Python", self.python),
            ("system", self.system),
            ("torch", f"{self.torch}, built {build}"),
            ("GPUs", gpus),
            ("cores", f"{self.cores}, of which torch uses {self.threads}"),
            ("memory", "not known" if self.memory is None else f"{size_in_words(self.memory)} free"),
            ("shared memory", "none" if self.shared is None else f"{size_in_words(self.shared)} free"),
            ("disk", f"{size_in_words(self.disk)} free here{self._speed()}"),
            *[(f"extra {name}", _extra_in_words(name, lacking)) for name, lacking in sorted(self.extras.items())],
        ]
        advice = [f"* {each}" for each in self.advice()] or ["nothing limits speed here that packdepth knows of"]
        return "\n".join([*(f"{label:<20}{value}" for label, value in rows), "", *advice])

    def json(self) -> str:
        """Return the facts and the advice as JSON."""
        return json.dumps(asdict(self) | {"advice": self.advice()}, indent=2)

    def _speed(self) -> str:
        return "" if self.disk_speed is None else f", written at {size_in_words(self.disk_speed)} per second"


def _extra_in_words(name: str, lacking: Sequence[str]) -> str:
    """Return whether an extra is installed, or how to install it."""
    return f"pip install 'packdepth[{name}]'  (lacks {', '.join(lacking)})" if lacking else "installed"


def facts() -> Facts:
    """Return the facts about this machine and the present folder, to which 16 MB are written to measure the disk."""
    import torch

    gpus = [
        f"{torch.cuda.get_device_name(i)}, {size_in_words(torch.cuda.get_device_properties(i).total_memory)}"
        for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    ]
    if torch.backends.mps.is_available():
        gpus.append("Apple GPU (mps)")
    return Facts(
        python=f"{platform.python_version()} at {sys.executable}",
        system=f"{platform.platform()}, {platform.machine()}",
        torch=str(torch.__version__),
        cuda_build=torch.version.cuda,
        gpus=tuple(gpus),
        extras=lacking_extras(),
        cores=cores(),
        threads=torch.get_num_threads(),
        omp_threads=os.environ.get("OMP_NUM_THREADS"),
        memory=free_memory(),
        disk=shutil.disk_usage(".").free,
        disk_speed=disk_speed(Path("measured.bin")),
        shared=shutil.disk_usage(SHARED).free if SHARED.is_dir() else None,
    )


def lacking_extras(name: str = "packdepth") -> dict[str, list[str]]:
    """Return the requirements that each extra of a package lacks here, by the name of the extra.

    Args:
        name: the installed package.

    >>> sorted(lacking_extras("no-such-package"))
    []
    """
    from packaging.requirements import Requirement

    try:
        package = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:  # the sources are on the path, and nothing is installed
        return {}
    found: dict[str, list[str]] = {}
    for extra in package.get_all("Provides-Extra") or ():
        if extra in NO_EXTRAS:
            continue
        needed = [Requirement(text) for text in importlib.metadata.requires(name) or ()]
        of_extra = [each for each in needed if each.marker is not None and each.marker.evaluate({"extra": extra})]
        found[extra] = [each.name for each in of_extra if not _is_installed(each.name, str(each.specifier))]
    return found


def _is_installed(name: str, versions: str) -> bool:
    """Return whether a package is installed in one of the versions."""
    from packaging.specifiers import SpecifierSet

    try:
        return SpecifierSet(versions).contains(importlib.metadata.version(name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False


def free_memory() -> int | None:
    """Return the bytes of memory that are free, within the limit of a container; None where the system does not say."""
    free = None
    with suppress(OSError):
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines() if ":" in line)
        if "MemAvailable" in lines:
            free = int(lines["MemAvailable"].split()[0]) * 1024
    with suppress(OSError, ValueError):
        limit, used = ((CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        if limit != UNLIMITED:
            left = max(int(limit) - int(used), 0)
            free = left if free is None else min(free, left)
    return free


def disk_speed(path: Path) -> float | None:
    """Return the bytes per second at which a file is written to the disk; None where it cannot be written.

    Args:
        path: a file beside which a temporary one is written, and removed.
    """
    content = os.urandom(SAMPLE_BYTES)
    try:
        with unfinished(path) as temporary, temporary.open("wb") as file:
            begun = time.monotonic()
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            return SAMPLE_BYTES / max(time.monotonic() - begun, 1e-9)
    except (OSError, InputError):
        return None
