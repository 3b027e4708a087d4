"""The bytes of a video depend on its pictures alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from packdepth.inference.writers.video import video_writer


def test_the_same_pictures_make_the_same_bytes_whatever_memory_held_before(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (144, 152, 3), dtype=np.uint8) for _ in range(3)]  # 152 is no multiple of 16
    found = set()
    for value in range(6):
        with video_writer(tmp_path / "a.mp4", 10.0) as append:
            for picture in pictures:
                used = [np.full(size, value * 40, np.uint8) for size in (144 * 160, 72 * 80, 144 * 480) * 4]
                del used  # what the next pictures are written over
                append(picture)
        found.add((tmp_path / "a.mp4").read_bytes())
    assert len(found) == 1
