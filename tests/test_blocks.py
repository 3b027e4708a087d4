"""Blocks are found by their kind: packdepth's own, those of this process, and those of installed packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from batches import make_batch, make_outputs
from pydantic import Field

from packdepth.blocks import Block, ByKind, CheckpointContext, Closed, Family, Unknown, package_of, parse, use
from packdepth.errors import InputError
from packdepth.networks.blocks import DEPTH_NETWORKS
from packdepth.objectives import Objective, Photometric, Smoothness, Term
from packdepth.objectives.term import TERMS
from packdepth.records import Batch, Outputs


class Shape(Block):
    """A family of this test's own: nothing of packdepth's belongs to it."""


class Circle(Shape):
    """A block with a key that is called like its kind."""

    kind: Literal["radius"] = "radius"
    radius: float
    inner: Annotated[list[Annotated[Shape, ByKind(Family(Shape, "packdepth.no_group", ()))]], Field(max_length=2)] = []


SHAPES = Family(Shape, "packdepth.no_group", ())


class Drawing(Closed):
    """A part of a run file with a block that is found by its kind."""

    shape: Annotated[Shape, ByKind(SHAPES)]
    others: list[Annotated[Shape, ByKind(SHAPES, keep_unknown=True)]] = []


def refusal(values: Any, context: CheckpointContext | None = None) -> str:
    """The one sentence with which a drawing is refused."""
    with pytest.raises(InputError) as error:
        parse(Drawing, values, "x", context)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_block_is_found_and_written_as_it_was_read() -> None:
    values = {"shape": {"kind": "radius", "radius": 2.0, "inner": [{"kind": "radius", "radius": 1.0, "inner": []}]}}
    drawing = parse(Drawing, values, "x")
    assert isinstance(drawing.shape, Circle)
    assert drawing.model_dump(mode="json") == {**values, "others": []}
    assert parse(Drawing, drawing.model_dump(mode="json"), "x") == drawing


def test_an_object_is_taken_as_it_is() -> None:
    circle = Circle(radius=3)
    assert Drawing(shape=circle).shape is circle


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"kind": "radius"}, "x: shape.radius: is missing"),
        ({"kind": "radius", "radius": "r"}, "x: shape.radius: must be a number (found 'r')"),
        ({"kind": "radius", "radius": 1, "inner": [{"kind": "radius", "radius": None}]},
         "x: shape.inner[0].radius: must be a number (found nothing)"),
        ({"kind": "radius", "radius": 1, "inner": [3]},
         "x: shape.inner[0]: must be a block of keys and values (found 3)"),
        ({"kind": "radius", "radius": 1, "size": 2},
         "x: shape: unknown key 'size': valid names are kind, radius, inner"),
        ({"kind": "radios"}, "x: shape: unknown kind 'radios' (did you mean 'radius'?); valid kinds are radius"),
        ({"radius": 1}, "x: shape: its kind is missing; valid kinds are radius"),
        ("radius", "x: shape: must be a block of keys and values (found 'radius')"),
    ],
)  # fmt: skip
def test_an_error_inside_a_block_names_its_place(shape: object, expected: str) -> None:
    assert refusal({"shape": shape}) == expected


def test_a_checkpoint_keeps_blocks_that_only_training_needs_and_names_the_package_of_others() -> None:
    values = {"shape": {"kind": "radius", "radius": 1.0}, "others": [{"kind": "star", "points": 5}]}
    others = ", and those of --use and of installed packages"
    assert refusal({"shape": {"kind": "star"}}) == f"x: shape: unknown kind 'star'; valid kinds are radius{others}"
    context = CheckpointContext(is_checkpoint=True, packages={"star": "astronomy 1.2"})
    drawing = parse(Drawing, values, "x", context)
    assert isinstance(drawing.others[0], Unknown)
    assert drawing.model_dump(mode="json")["others"] == [{"kind": "star", "points": 5}]
    local = CheckpointContext(is_checkpoint=True, packages={"star": "the file my_shapes.py"})
    assert refusal({"shape": {"kind": "star"}}, local) == (
        "x: shape: unknown kind 'star', which comes from the file my_shapes.py and is not installed here: name it with "
        "--use my_shapes.py; valid kinds are radius"
    )
    assert refusal({"shape": {"kind": "star"}}, context) == (
        "x: shape: unknown kind 'star', which comes from astronomy 1.2 and is not installed here: install or import "
        "it, or name it with --use; valid kinds are radius"
    )


def test_what_a_stranger_wrote_into_a_checkpoint_stays_in_one_line() -> None:
    kind, package = "star\nall is fine", "astronomy\n\x1b[2Jpackdepth: all is fine"
    context = CheckpointContext(is_checkpoint=True, packages={kind: package})
    sentence = refusal({"shape": {"kind": kind}}, context)
    assert r"unknown kind 'star\nall is fine', which comes from astronomy\n\x1b[2Jpackdepth: all" in sentence
    assert sentence.isprintable()


@pytest.mark.parametrize("kind", ["os:system", "os.system", "../star", "packdepth.blocks", "", "__class__"])
def test_a_kind_names_no_code(kind: str) -> None:
    others = ", and those of --use and of installed packages" if kind else ""
    assert refusal({"shape": {"kind": kind}}).endswith(f"valid kinds are radius{others}")


def test_an_unknown_block_stands_only_where_it_may_be_kept() -> None:
    unknown = Unknown(kind="star")
    circle = Circle(radius=1)
    assert Drawing(shape=circle, others=[unknown]).others == [unknown]
    with pytest.raises(ValueError, match="object of class Unknown"):
        Drawing(shape=unknown)


def test_packdepth_s_own_terms_stand_in_one_file_each() -> None:
    own = TERMS.own()
    assert own["photometric"] is Photometric
    assert all(block.__module__.startswith("packdepth.objectives.") for block in own.values())
    assert len({block.__module__ for block in own.values()}) == len(set(own.values()))
    assert set(DEPTH_NETWORKS.own()) == {
        "best_start",
        "depth_resnet",
        "encoder_decoder",
        "packnet",
        "superdepth",
        "transformers",
    }


def test_a_class_of_this_process_must_not_take_a_kind_of_packdepth_s() -> None:
    code = """
from typing import Literal
from packdepth.objectives import Term
from packdepth.objectives.term import TERMS
class Rough(Term):
    kind: Literal["smoothness"] = "smoothness"
    def __call__(self, outputs, batch):
        return outputs.inv_depths[0].mean()
try:
    TERMS.find("smoothness")
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Rough: its kind 'smoothness' is one of packdepth's own; give it another kind\n"


TERM = """
from typing import Literal
from packdepth.objectives import Term

class {name}(Term):
    kind: Literal["{kind}"] = "{kind}"
    factor: float = 2.0

    def __call__(self, outputs, batch):
        return self.factor * outputs.inv_depths[0].mean()
"""


def test_a_file_that_the_command_line_names_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "my_terms.py"
    path.write_text(TERM.format(name="InAFile", kind="in_a_file"))
    with pytest.raises(ValueError, match="unknown kind 'in_a_file'"):
        TERMS.find("in_a_file")
    use(str(path))
    block = TERMS.find("in_a_file")
    assert block(factor=3.0).model_dump() == {"kind": "in_a_file", "weight": 1.0, "factor": 3.0}  # type: ignore[call-arg]
    assert package_of(block) == "the file my_terms.py"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "not found; give the path of a Python file, or an installed module"),
        ("1 / 0", "cannot be imported (ZeroDivisionError: division by zero)"),
        ("import no_such_module", "cannot be imported (ModuleNotFoundError: No module named 'no_such_module')"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, text: str | None, expected: str) -> None:
    path = tmp_path / "broken.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as error:
        use(str(path))
    assert str(error.value).startswith(f"--use {path}: {expected}")


def test_a_file_that_is_named_without_its_suffix_is_found(tmp_path: Path) -> None:
    (tmp_path / "my_terms.py").write_text("")
    with pytest.raises(InputError) as error:
        use(str(tmp_path / "my_terms"))
    said = (
        f"--use {tmp_path / 'my_terms'}: is no installed module; for the file, write --use {tmp_path / 'my_terms.py'}"
    )
    assert str(error.value) == said
    with pytest.raises(InputError, match="is no Python file; give a file whose name ends in"):
        use(str(tmp_path))


def installed(folder: Path, group: str, line: str, module: str, name: str = "somebody") -> None:
    """Write a package with an entry point, as pip would install it in editable mode, into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(module)
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "RECORD").write_text("")  # of an editable package, it does not list the modules
    (info / "entry_points.txt").write_text(f"[{group}]\n{line}\n")


def run(folder: Path, code: str) -> str:
    """What a fresh interpreter prints that has the packages in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


FIND = """
from packdepth.objectives.term import TERMS
from packdepth.blocks import package_of
from packdepth.errors import InputError
print("smoothness" in TERMS.kinds(), "somebody" in sys.modules)
try:
    found = TERMS.find("glare")
    print(found.__name__, package_of(found))
except (InputError, ValueError) as error:
    print(error)
"""


def test_an_installed_package_is_imported_only_when_its_kind_is_asked_for(tmp_path: Path) -> None:
    installed(tmp_path, "packdepth.terms", "glare = somebody:Glare", TERM.format(name="Glare", kind="glare"))
    assert run(tmp_path, FIND) == "True False\nGlare somebody 1.2"


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (
            "raise RuntimeError('no GPU')",
            "the installed package somebody: its glare (somebody:Glare) cannot be imported",
        ),
        (
            "class Glare: pass",
            "entry point glare = somebody:Glare of group packdepth.terms: is no Term of kind 'glare'",
        ),
        (TERM.format(name="Glare", kind="other"), "is no Term of kind 'glare'"),
    ],
)
def test_a_package_that_keeps_no_promise_is_named(tmp_path: Path, module: str, expected: str) -> None:
    installed(tmp_path, "packdepth.terms", "glare = somebody:Glare", module)
    assert expected in run(tmp_path, FIND).splitlines()[1]


def test_two_packages_that_offer_one_kind_are_named(tmp_path: Path) -> None:
    for name in ("somebody", "someone"):
        module = TERM.format(name="Glare", kind="glare")
        installed(tmp_path, "packdepth.terms", f"glare = {name}:Glare", module, name)
    assert run(tmp_path, FIND).splitlines()[1] in {
        f"kind 'glare' is offered by the installed packages {names}; uninstall one of them"
        for names in ("somebody and someone", "someone and somebody")
    }


def test_an_object_that_is_none_is_described_in_a_word() -> None:
    with pytest.raises(ValueError, match=r"derives from Shape \(found the class Circle; write Circle\(\.\.\.\)\)"):
        Drawing(shape=Circle)
    with pytest.raises(ValueError, match=r"derives from Shape \(found an object of class Smoothness\)"):
        Drawing(shape=Smoothness())


def test_the_value_of_a_term_of_somebody_else_s_counts_with_its_weight() -> None:

    class Nearness(Term):
        kind: Literal["nearness"] = "nearness"
        weight: float = 0.5

        def __call__(self, outputs: Outputs, batch: Batch) -> Any:
            return outputs.inv_depths[0].mean()

    batch = make_batch()
    outputs = make_outputs(batch)
    total, values = Objective([Smoothness(), Nearness()])(outputs, batch)
    assert values["nearness"] == outputs.inv_depths[0].mean()
    assert float(total) == pytest.approx(float(1e-3 * values["smoothness"] + 0.5 * values["nearness"]))
