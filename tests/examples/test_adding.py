"""Adding a component touches one file: a file of the examples, put into its room, is found by its kind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import packdepth

SOURCE = Path(packdepth.__file__).parent
EXAMPLES = Path(__file__).parents[2] / "examples" / "extending" / "packdepth_example"
SCHEDULE = """
from typing import Literal
from packdepth.optimization.blocks import Schedule

class Half(Schedule):
    kind: Literal["half"] = "half"

    def multiplier(self, step: int, steps: int, epochs: int) -> float:
        return 0.5
"""
WRITER = (SOURCE / "inference" / "writers" / "color.py").read_text().replace('"color"', '"paint"')
FIND = {
    "term": "from packdepth.objectives.term import TERMS as family; print(family.find('level_road').__module__)",
    "depth_network": "from packdepth.networks.blocks import DEPTH_NETWORKS as family; "
    "print(family.find('small_unet').__module__)",
    "pose_network": "from packdepth.networks.blocks import POSE_NETWORKS as family; "
    "print(family.find('small_posenet').__module__)",
    "source": "from packdepth.sources.base import SOURCES as family; print(family.find('recording').__module__)",
    "protocol": "from packdepth.evaluation import find_protocol as find; print(find('recording-depth').name)",
    "writer": "from packdepth.inference.writers import all_writers; print(list(all_writers()))",
    "schedule": "from packdepth.optimization.blocks import SCHEDULES as family; print(family.find('half').__module__)",
}
ROOMS = {
    "term": ("objectives", "packdepth.objectives.added"),
    "depth_network": ("networks", "packdepth.networks.added"),
    "pose_network": ("networks", "packdepth.networks.added"),
    "source": ("sources", "packdepth.sources.added"),
    "protocol": ("evaluation/protocols", "recording-depth"),
    "writer": ("inference/writers", "paint"),
    "schedule": ("optimization", "packdepth.optimization.added"),
}


@pytest.mark.parametrize("component", FIND)
def test_one_file_is_enough(component: str, tmp_path: Path) -> None:
    copy = shutil.copytree(SOURCE, tmp_path / "packdepth", ignore=shutil.ignore_patterns("__pycache__"))
    room, expected = ROOMS[component]
    texts = {"schedule": SCHEDULE, "writer": WRITER}
    text = texts.get(component) or (EXAMPLES / f"{component}.py").read_text()
    before = {path.relative_to(copy) for path in copy.rglob("*")}
    (copy / room / "added.py").write_text(text)
    added = {path.relative_to(copy) for path in copy.rglob("*")} - before
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{FIND[component]}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert expected in done.stdout
    assert added == {Path(room) / "added.py"}
