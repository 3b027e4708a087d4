"""The code blocks of docs/extending.md are the files of examples/, and the notebook runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from packdepth import checkpoint
from packdepth.city.command import require_city
from packdepth.errors import InputError
from packdepth.inference.predictor import load
from packdepth.reading import read_state

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
PAGE = (ROOT / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```\n", PAGE, re.DOTALL)


def content(path: Path) -> str:
    """The text of a file; of a notebook its code cells."""
    if path.suffix != ".ipynb":
        return path.read_text()
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]) + "\n"


def test_every_block_of_code_names_its_file() -> None:
    assert len(BLOCKS) == len(re.findall(r"```(?:python|yaml|toml)\n", PAGE)) == 12


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_a_block_is_an_excerpt_of_its_file(name: str, block: str) -> None:
    assert block in content(ROOT / name)


def test_the_notebook_is_saved_without_outputs() -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in cells] == [([], None)] * len(cells)


def test_an_optimizer_and_a_schedule_of_ones_own_train(moving_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "my_drive").symlink_to(moving_clip)
    script = str(ROOT / "examples" / "my_optimizer.py")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    meta = checkpoint.read_description(tmp_path / "runs" / "my_adamw" / "last")[1]
    assert (meta.step, sorted(meta.packages)) == (2, ["my_adamw", "my_linear"])


def test_a_term_with_state_trains(moving_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "my_drive").symlink_to(moving_clip)
    script = str(ROOT / "examples" / "my_stateful_term.py")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    last = tmp_path / "runs" / "learned" / "last"
    state = read_state(last / checkpoint.TRAINER_STATE)["state_dict"]
    assert float(state["terms.0.log_variance"]) != 0
    assert 0.9 < float(state["terms.0.mean"]) < 1.1
    assert not [name for name in checkpoint.read(last).weights if name.startswith("terms")]


EXECUTE = """
import json, sys
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]))
"""


def test_the_notebook_runs_and_its_checkpoint_opens_elsewhere(tmp_path: Path) -> None:
    try:
        require_city()
    except InputError:
        pytest.skip("the extra 'city' is not installed")
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, NOTEBOOK],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^abs_rel 0\.\d{3} on 8 images$", done.stdout, re.MULTILINE)
    best = tmp_path / "runs" / "notebook" / "best"
    meta = checkpoint.read_description(best)[1]
    assert (meta.step, meta.packages) == (20, {"nearer_below": "a notebook or script"})
    assert repr(load(best, device="cpu")).startswith("Predictor(packnet 64x192, posenet, ")
