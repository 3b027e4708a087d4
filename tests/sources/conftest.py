"""What the tests of sources share: how an error must read, and how to write small images and videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import formats
import numpy as np
import pytest
from PIL import Image

from packdepth.errors import InputError


@pytest.fixture
def complaint() -> Callable[..., None]:
    """Checks that a call raises InputError: one sentence that holds all the given parts and says what to do."""

    def check(call: Callable[[], Any], *parts: object) -> None:
        with pytest.raises(InputError) as caught:
            call()
        message = str(caught.value)
        for part in parts:
            assert str(part) in message
        assert "\n" not in message
        assert not message.endswith(".")
        assert caught.value.__suppress_context__ or caught.value.__context__ is None

    return check


@pytest.fixture(scope="session")
def read_or_refused() -> Callable[..., Any]:
    """What a call gives; or None if it raises InputError, which must be one sentence that names the file."""

    def read(call: Callable[[], Any], path: Path) -> Any:
        try:
            return call()
        except InputError as error:
            message = str(error)
        assert str(path) in message
        assert len(message.splitlines()) == 1
        return None

    return read


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Writes an image of random pixels (a function of the path's name) and returns the path."""

    def write(path: Path, height: int = 12, width: int = 40, mode: str = "RGB") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(list(path.name.encode()))
        if mode == "I;16":
            pixels = rng.integers(0, 65536, (height, width), dtype=np.uint16)
        else:
            pixels = rng.integers(0, 256, (height, width, 3) if mode == "RGB" else (height, width), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def write_video() -> Callable[..., Path]:
    """Writes a video of a moving pattern, every frame different, and returns the path."""

    def write(
        path: Path,
        frames: int = 40,
        height: int = 64,
        width: int = 96,
        codec: str = "mpeg4",
        pixels: str = "yuv420p",
        rate: int = 10,
        times: list[int] | None = None,
        **options: str,
    ) -> Path:
        coarse = (height // 8 + 1, (width + 2 * frames) // 8 + 1, 3)
        pattern = np.random.default_rng(0).integers(0, 256, coarse).astype(np.uint8).repeat(8, 0).repeat(8, 1)
        images = [pattern[:height, 2 * index : 2 * index + width] for index in range(frames)]
        return formats.video(path, images, codec, pixels, rate, times, options)

    return write
