"""KITTI raw, drive 0052, on which almost everything moves with the camera: what it takes to learn its depth from video.

    python bench/jammed_road.py OUTPUT --data DATA [--seeds N] [--start CHECKPOINT] [--segmentation CHECKPOINT]
        [--teacher CHECKPOINT]

Each variant changes something of configs/kitti_raw_clip.yaml: the start, the camera's height as scale, hints along the
epipolar line, dynamic objects left out, a teacher. All are trained for the same number of steps; the start and the
teacher, which never saw this road, are also evaluated as they are. The scores are those of `kitti-raw-clip`, on seven
scans; its baseline, which knows the other scans, has 0.204, median-scaled. The results are a table and a page, as those
of a study.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from packdepth import blocks
from packdepth.charts import bars
from packdepth.run_files import read_yaml
from packdepth.studies import engine
from packdepth.studies.engine import Row, Scores, Study, remembered
from packdepth.studies.setting import Judged, evaluated, trained_scores
from packdepth.studies.supervision import WEIGHTS

RUN_FILE = Path(__file__).parents[1] / "configs" / "kitti_raw_clip.yaml"
HEIGHT = 1.65  # metres: height of the cameras of KITTI's car above the road (its sensor setup)
SCRATCH = {"kind": "packnet", "preset": "tiny", "initial_depth": 12.0}
PRETRAINED = {"kind": "encoder_decoder", "initial_depth": 12.0, "encoder": WEIGHTS["imagenet"]}
CAMERA_HEIGHT = {"kind": "camera_height", "weight": 0.2, "height_m": HEIGHT}
HINTS = {"kind": "epipolar_hints"}
TERMS = str(Path(__file__).with_name("jammed_terms.py"))


@dataclass(frozen=True)
class Variant:
    """A change of the run file."""

    name: str
    """The name in files."""
    title: str
    """The title in tables."""
    depth: dict[str, Any]
    """The depth network."""
    terms: tuple[dict[str, Any], ...] = ()
    """Terms that are added."""
    initial: str | None = None
    """A checkpoint that both networks start from."""
    segmentation: str | None = None
    """A segmentation network, by which the photometric term leaves dynamic objects out."""
    trained: bool = True
    """Whether it is trained on this road. Otherwise `initial` is evaluated as it is."""
    metric: bool = True
    """True: scores that need metres do not exist for relative depth, and are left out."""


@dataclass(frozen=True)
class Plan:
    """Everything that the scores depend on."""

    data: Path
    seeds: int
    teacher: str | None
    start: str | None
    segmentation: str | None


def variants(plan: Plan) -> list[Variant]:
    """Return the variants that the plan has everything for.

    Args:
        plan: the plan.
    """
    found = [
        Variant("plain", "PackNet `tiny`", SCRATCH),
        Variant("imagenet", "ImageNet encoder, configs/kitti_raw_clip.yaml", PRETRAINED),
        Variant("height", "PackNet `tiny`, camera height", SCRATCH, (CAMERA_HEIGHT,)),
        Variant("imagenet_height", "ImageNet encoder, camera height", PRETRAINED, (CAMERA_HEIGHT,)),
        Variant("hints", "ImageNet encoder, epipolar hints", PRETRAINED, (HINTS,)),
    ]
    mask, start = plan.segmentation, plan.start
    if mask is not None:
        found.append(Variant("static", "ImageNet encoder, without dynamic objects", PRETRAINED, segmentation=mask))
    if start is not None:
        found.append(Variant("start_alone", "another street alone", PRETRAINED, initial=start, trained=False))
        found.append(Variant("start", "from another street", PRETRAINED, initial=start))
        found.append(Variant("start_height", "from another street, height", PRETRAINED, (CAMERA_HEIGHT,), start))
    if mask is not None and start is not None:
        terms = (CAMERA_HEIGHT, HINTS)
        found.append(Variant("all", "from another street, with all of these", PRETRAINED, terms, start, mask))
    if plan.teacher is not None:
        teacher = {"kind": "teacher", "network": plan.teacher, "metric": True}
        if (Path(plan.teacher) / "meta.json").exists():
            alone = Variant("teacher_alone", "the teacher alone", PRETRAINED, initial=plan.teacher, trained=False)
            found.append(alone)
        found.append(Variant("teacher", "ImageNet encoder, teacher", PRETRAINED, (teacher,)))
    return found


def run_values(variant: Variant, seed: int) -> dict[str, Any]:
    """Return the content of a variant's run file.

    Args:
        variant: the variant.
        seed: the seed of the training.
    """
    values: dict[str, Any] = read_yaml(RUN_FILE, (f"training.seed={seed}", "training.devices=1"))
    values["networks"]["depth"] = variant.depth
    if variant.initial is not None:
        values["initial"] = {"depth": variant.initial, "pose": variant.initial}
    if variant.segmentation is not None:
        assert values["objective"][0] == {"kind": "photometric", "scales": "own"}
        values["objective"][0] = {"kind": "static_photometric", "segmentation": variant.segmentation}
    values["objective"] += variant.terms
    return values


def charts(rows: Sequence[Row[Variant]]) -> list[Markup]:
    """Return the plot of the page.

    Args:
        rows: the results of all variants.
    """
    name = "kitti-raw-clip abs_rel, scaled"
    return [bars({row.variant.title: (row.mean(name), row.spread(name)) for row in rows}, name)]


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--teacher", help="a depth model of transformers, or a checkpoint")
    parser.add_argument("--start", help="a checkpoint of another street, with an ImageNet encoder")
    parser.add_argument("--segmentation", help="a checkpoint of packdepth semantics train")
    options = parser.parse_args()
    blocks.use(TERMS)
    os.environ["PACKDEPTH_DATA"] = str(options.data.resolve())
    plan = Plan(options.data.resolve(), options.seeds, options.teacher, options.start, options.segmentation)
    engine.begin(options.output, plan)
    chosen, judged = variants(plan), [Judged(protocol="kitti-raw-clip", data=plan.data)]

    def compute(seed: int) -> list[Scores]:
        trained = [each for each in chosen if each.trained]
        runs = {options.output / "runs" / f"{each.name}-{seed}": run_values(each, seed) for each in trained}
        found = iter(trained_scores(runs, judged, options.processes, (TERMS,)))
        return [next(found) if each.trained else untrained(each) for each in chosen]

    def untrained(variant: Variant) -> Scores:
        assert variant.initial is not None
        kept, checkpoint = options.output / "runs" / f"{variant.name}-scores.json", Path(variant.initial)
        return remembered(kept, lambda: evaluated(checkpoint, judged))

    study = Study(
        name="jammed_road",
        title="A jammed road",
        claim="nothing in print: what moves with the camera is explained as far away, or as the camera's own motion",
        variants=chosen,
        charts=charts,
    )
    print(engine.carry_out(study, options.output, plan, "600 steps of 4 images at 64x224", plan.seeds, compute))


if __name__ == "__main__":
    main()
