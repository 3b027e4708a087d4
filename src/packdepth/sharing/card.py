"""Model cards: the page beside shared weights, written from what the checkpoint knows of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from packdepth.blocks import Unknown
from packdepth.checkpoint import WEIGHTS, Meta
from packdepth.config import Imported, Run
from packdepth.errors import InputError, in_one_line
from packdepth.networks.blocks import DepthNetworkBlock, NetworkBlock, PoseBlock
from packdepth.networks.encoders.encoder import EncoderBlock
from packdepth.progress import counted
from packdepth.reading import parse_json
from packdepth.sharing.address import address
from packdepth.sharing.options import CardOptions

CARD = "README.md"
NOT_STATED = "not stated"
SHOWN_CLIPS = 5  # clips that a card lists; the others are counted
METRICS = ("abs_rel", "rmse", "a1")  # that a card shows of those that the numbers hold
NUMBERS = {"protocol", "verdict", "data", "checkpoint"}  # that every report of `packdepth evaluate` has
ROWS = ("plain", "scaled", "baseline", "baseline_scaled")  # the rows of a table of numbers, in this order
SELF_SUPERVISED = "photometric"  # kind of the term that takes everything for standing still


def read_numbers(path: Path, checkpoint: Path) -> dict[str, Any]:
    """Return the numbers of a checkpoint in a JSON file that `packdepth evaluate --json` wrote.

    Args:
        path: the file.
        checkpoint: the folder of the checkpoint.

    Raises InputError if the file is something else, holds numbers of other checkpoints alone, or is older than the
    weights.
    """
    if not path.is_file():
        raise InputError(f"--numbers {path}: not found; packdepth evaluate {checkpoint} --json {path} writes it")
    content = parse_json(path.read_text(encoding="utf-8"), path, "numbers that packdepth evaluate --json wrote")
    reports = content.get("reports", [content]) if isinstance(content, dict) else []
    if not reports or not all(isinstance(each, dict) and set(each) >= NUMBERS for each in reports):
        raise InputError(f"--numbers {path}: holds no numbers of packdepth evaluate --json; name its file")
    named = [str(each["checkpoint"].get("path")) for each in reports]
    found = [each for name, each in zip(named, reports, strict=True) if Path(name).resolve() == checkpoint.resolve()]
    if not found:
        names = in_one_line(", ".join(named))
        raise InputError(f"--numbers {path}: holds numbers of {names}, not of {checkpoint}; evaluate that with --json")
    if path.stat().st_mtime < (checkpoint / WEIGHTS).stat().st_mtime:
        raise InputError(f"--numbers {path}: is older than {checkpoint}; evaluate it again with --json")
    numbers: dict[str, Any] = found[0]
    return numbers


def model_card(
    name: str,
    run: Run | Imported,
    meta: Meta,
    options: CardOptions,
    numbers: Mapping[str, Any] | None = None,
    picture: str | None = None,
) -> str:
    """Return the text of a model card, Markdown with the Hub's fields above it.

    Args:
        name: title of the card, such as the name of the repository.
        run: the run of the checkpoint.
        meta: its description.
        options: options of the card.
        numbers: what `read_numbers` returned; None for none.
        picture: name of the picture beside the card; None for none.
    """
    fields: dict[str, Any] = {"library_name": "packdepth", "pipeline_tag": "depth-estimation"}
    fields |= {} if options.license is None else {"license": options.license}
    fields["tags"] = ["depth-estimation", "packdepth"]
    height, width = run.image_size
    install, load = (".[hub]", f"hf://{name}") if "/" in name else (".", "FOLDER")
    parts = [
        f"---\n{yaml.safe_dump(fields, sort_keys=False)}---",
        f"# {_safe(name)}",
        f"A network that predicts the depth of single images, trained with packdepth {_safe(meta.packdepth)}. It sees "
        f"images at {height} x {width} (height x width). Depth is {_safe(meta.scale)}.",
        *([] if picture is None else [f"![An image beside its predicted depth](./{picture})"]),
        f"## Use it\n\npackdepth is on no package index: it is installed by `pip install '{install}'` in a clone of "
        f"its repository.\n\n```bash\npackdepth predict {load} drive.mp4 -o out\n```",
        f"## Training\n\n{_lines(_training(run, meta))}",
        f"## Scale\n\n{_scale(meta)}",
        f"## Numbers\n\n{_numbers(numbers)}",
        f"## Known limits\n\n{_lines(_limits(run, meta, numbers))}",
        "## Licenses\n\n"
        + _lines(
            [
                f"Weights: {_safe(options.license or NOT_STATED)}.",
                f"Training data: {_safe(options.data_license or NOT_STATED)}.",
            ]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _safe(text: str) -> str:
    """Return a text in one line, in which nothing is Markdown or HTML."""
    return "".join(f"\\{each}" if each in "\\`*[]<>|#" else each for each in in_one_line(text))


def _lines(texts: Sequence[str]) -> str:
    return "\n".join(f"* {text}" for text in texts)


def _training(run: Run | Imported, meta: Meta) -> list[str]:
    """Return what the networks were trained on and for how long."""
    if isinstance(run, Imported):
        return [f"The networks were trained by another project: {_safe(run.imported_from)}.", *map(_safe, run.notes)]
    shown = ", ".join(_safe(clip) for clip in meta.clips[:SHOWN_CLIPS])
    more = f" and {len(meta.clips) - SHOWN_CLIPS} more" if len(meta.clips) > SHOWN_CLIPS else ""
    terms = ", ".join(_safe(term.kind) for term in run.objective)
    images = meta.step * run.training.batch_size
    found = [
        f"Data: {counted(meta.frames, 'frame')} of {counted(len(meta.clips), 'clip')} ({shown}{more}).",
        f"Duration: {counted(meta.step, 'step')} of {counted(run.training.batch_size, 'image')}, {images:,} in all; "
        f"epoch {meta.epoch} of {run.training.epochs}.",
        f"Networks: {_network(run.networks.depth)} for depth, {_network(run.networks.pose)} for ego-motion.",
        f"Terms of the loss: {terms}.",
        f"Written: {_safe(meta.created)}.",
    ]
    found += [
        f"Start of {name}: the checkpoint {_safe(address(start))}. Its data and licenses count, too."
        for name, start in run.initial
        if start is not None
    ]
    encoder = getattr(run.networks.depth, "encoder", None)
    if run.initial.depth is None and isinstance(encoder, EncoderBlock) and encoder.is_pretrained:
        found.append(f"Start: pretrained weights, {_safe(encoder.describe())}. Their license counts, too.")
    return found if meta.teacher is None else [*found, f"Teacher: {_safe(meta.teacher)}."]


def _network(block: DepthNetworkBlock | PoseBlock | None) -> str:
    """Return a network in a few words."""
    if block is None:
        return "none"
    return _safe(block.describe() if isinstance(block, NetworkBlock) else block.kind)


def _scale(meta: Meta) -> str:
    """Return where metres come from, and how well they were measured."""
    lines = [f"Source of the scale: {_safe(meta.scale_source)}. Depth is {_safe(meta.scale)}."]
    if meta.calibration is not None:
        lines.append(f"Calibrated: {_safe(str(meta.calibration))}.")
    if meta.scale_checks:
        rows = [
            f"| {_safe(check.source)} | {check.ratio:.3f} | {check.spread:.1%} | {check.frames} | "
            f"{'left out of training' if check.held_out else 'trained on'} |"
            for check in meta.scale_checks
        ]
        head = "| measured by | predicted / measured | spread | frames | which were |\n|---|---|---|---|---|"
        lines.append("\n".join([head, *rows]))
    return "\n\n".join(lines)


def _numbers(numbers: Mapping[str, Any] | None) -> str:
    """Return verdict, scores and baselines of an evaluation."""
    if numbers is None:
        return f"{NOT_STATED.capitalize()}."
    verdict = numbers["verdict"]
    words = verdict["words"] if isinstance(verdict, dict) else str(verdict)
    lines = [
        f"Protocol `{_safe(str(numbers['protocol']))}`, on {_safe(Path(str(numbers['data'])).name)}. {_safe(words)}"
    ]
    metrics = numbers.get("metrics")
    rows = {**(metrics if isinstance(metrics, dict) else {}), **{row: numbers.get(row) for row in ROWS[2:]}}
    shown = {row: rows[row] for row in ROWS if isinstance(rows.get(row), dict)}
    if shown:
        names = [name for name in METRICS if all(name in scores for scores in shown.values())]
        head = f"| | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}"
        table = [f"| {row} | {' | '.join(f'{scores[name]:.4f}' for name in names)} |" for row, scores in shown.items()]
        has_baseline = "needs no network" if ROWS[2] in shown else "is none under this protocol"
        images = (
            f"{counted(int(numbers['images']), 'image')}. In `scaled` rows the median of each image is that of ground "
            f"truth. A baseline {has_baseline}."
        )
        lines += ["\n".join([head, *table]), images]
    return "\n\n".join(lines)


def _limits(run: Run | Imported, meta: Meta, numbers: Mapping[str, Any] | None) -> list[str]:
    """Return what is known to go wrong, from the facts of the training."""
    found = [] if meta.metric else ["Depth is not in metres: see Scale above."]
    if isinstance(run, Run):
        found.append(
            f"It has seen {counted(meta.frames, 'frame')} of {counted(len(meta.clips), 'clip')}. Of other places, "
            f"weather and cameras nothing is known: `packdepth evaluate --protocol own` judges it on your video."
        )
        terms = [term for term in run.objective if not isinstance(term, Unknown)]
        if any(term.kind == SELF_SUPERVISED for term in terms) and run.data.context:
            found.append("What moves as fast as the camera, such as a car ahead, may be predicted far too far away.")
    cameras = [*meta.trained_cameras, *meta.cameras]
    if cameras:
        seen = ", ".join(
            f"{each.width} x {each.height} with {each.camera.fov():.0f} degrees across" for each in cameras[:3]
        )
        found.append(f"It was trained on images of {seen}. Other cameras are corrected for their focal length alone.")
    if numbers is None:
        found.append("No evaluation comes with it.")
    return [*found, "It is no safety device: nothing may depend on its depth alone."]
