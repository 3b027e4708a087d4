"""Training of a run file: `packdepth train`."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from torch import Tensor

from packdepth import checkpoint
from packdepth.blocks import CheckpointContext, Unknown, blaming, package_of
from packdepth.config import DropStatic, Imported, Run, blocks_of, load_run, packages_of, parse_run
from packdepth.data.agreement import check_agreement
from packdepth.data.faults import check_faults
from packdepth.data.fields import FIELDS, check_offers
from packdepth.data.filters import moving, static_frames
from packdepth.data.held_out import trained_on, without_tail
from packdepth.data.label_maps import check_labeled, check_sky, common_classes
from packdepth.data.overlap import without_repeated_frames
from packdepth.data.targets import (
    check_calibrated,
    check_scans,
    distinct_cameras,
    first_guesses,
    gaps,
    has_measured_depth,
    target_indices,
)
from packdepth.errors import InputError, InputWarning
from packdepth.files import check_local
from packdepth.geometry.camera import Camera
from packdepth.interruption import Interrupted, heeding_signals, is_first_rank, started_by_first_rank
from packdepth.networks.contract import check_inverse_depths, check_motions
from packdepth.networks.guidance import guidance_of
from packdepth.objectives.objective import KEEP_FINITE, Objective, of_others
from packdepth.objectives.sky import Sky
from packdepth.objectives.term import Term
from packdepth.ownership import owned
from packdepth.progress import announced, counted
from packdepth.records import Batch, Clip, Outputs
from packdepth.sharing.address import address
from packdepth.sources.files import listed
from packdepth.sources.guess import assume_fov
from packdepth.sources.video import check_sizes_of_videos
from packdepth.training.calibration import Calibration
from packdepth.training.checkpoints import Checkpoints
from packdepth.training.collapse import flat_depth
from packdepth.training.data import RunData
from packdepth.training.data_check import check_findings, data_in_words
from packdepth.training.features import cache_features
from packdepth.training.initial import checkpoint_at, is_frozen
from packdepth.training.logs import RunLog
from packdepth.training.module import DepthModule, multiplier_at
from packdepth.training.processes import process_line
from packdepth.training.progress import RunProgress
from packdepth.training.ranks import ddp_strategy, ranks_in_words
from packdepth.training.resumed_state import check_state
from packdepth.training.same_data import SameData
from packdepth.training.scale_check import check_scales
from packdepth.training.sharding import fsdp_strategy
from packdepth.training.state_file import StateFile
from packdepth.training.steps import Steps
from packdepth.training.teacher import cache_teacher

LIGHTNING_CHATTER = (  # patterns of warnings of Lightning and of sharding that are expected, and are not printed
    ".*does not have many workers.*",
    ".*isinstance.treespec, LeafSpec.*",
    ".*in eval mode at the start of training.*",
    ".*Total length of .* across ranks is zero.*",
    ".*returned a view tensor.*",  # nothing changes the outputs of networks in place
)
FIRST_IMAGES = 8  # number of images that a pretrained network is adapted to; enough for a median of all streets
TRIED_SAMPLES = 2  # batch size of the trial of other projects' parts; more than 1, to find wrong batch dimensions
MAX_STRETCH = 1.25  # of images at the image size: at sizes that init writes, it is up to 1.11; chosen
OLD_FOV = 60.0  # degrees: the default of camera.fov before 0.2, which runs of that time state although nobody gave it
FREE_ON_RESUME = {  # values of a run file that may be changed when a run is resumed
    "training.epochs",
    "training.accelerator",
    "training.devices",
    "training.nodes",
    "training.strategy",
    "data.workers",
    "data.cache",
}


def train(
    run: Run | Path | str | Mapping[str, Any],
    output: Path | str,
    *,
    resume: bool = False,
    overrides: Sequence[str] = (),
) -> Path:
    """Train the networks of a run and return the folder of the best checkpoint, `output/best`.

    Args:
        run: a `Run`, the path of a run file (YAML), or the content of one as a mapping.
        output: folder for `best/`, `last/`, `metrics.csv` and TensorBoard's files.
        resume: continue from `output/last`, exactly as if the run had not been interrupted.
        overrides: values to change in a run file, such as "training.epochs=5".

    Raises:
        InputError: before the first step and before anything is written, if the run, its data or the output cannot be
            used; and after the last step, if the training has collapsed.
    """
    output = Path(output)
    check_local(output)
    with owned(output, first=is_first_rank()), heeding_signals() as signals:
        try:
            return _train(run, output, resume, overrides)
        except SystemExit:  # Lightning's answer to an interruption
            if signals.received is None:
                raise
            raise Interrupted(signals.received) from None


def _train(run: Run | Path | str | Mapping[str, Any], output: Path, resume: bool, overrides: Sequence[str]) -> Path:
    """Train the networks of a run in a folder that this process owns."""
    origin = str(run) if isinstance(run, (Path, str)) else "run"
    for name in ("best", "last"):
        checkpoint.check_place(output / name)
    before = _resumable(output) if resume else None
    asked = as_run(run, overrides, {} if before is None else before.meta.packages)
    run, advice = asked.completed(None if before is None else before.run), asked.networks.depth.advice
    processes = run.training.devices * run.training.nodes
    if run.training.batch_size % processes:
        raise InputError(
            f"{origin}: training.batch_size: {run.training.batch_size} samples cannot be shared evenly by "
            f"{processes} processes; give a multiple of {processes}"
        )
    if before is not None:
        _check_same_run(output, before.run, run)
    if not resume and (output / "last" / checkpoint.TRAINER_STATE).exists():
        raise InputError(f"{output}: holds a run already; go on with --resume, or give another --output")
    objective = Objective(run.objective)
    checked = started_by_first_rank()
    with _announced("reading    the data, and checking them"):
        found, clips, validation, assumed, said_by_road = run_clips(run, objective, checked)
    cameras = distinct_cameras(clips) if run.camera.learn else []
    data = RunData(run, objective, clips, validation, cameras, 0 if before is None else before.meta.epoch)
    if data.val is not None and len(data.val) < processes:
        raise InputError(f"{origin}: data.val: {len(data.val)} frames are too few for {processes} processes; add clips")
    semantics = checkpoint.semantics_copy(output / "last") if resume else None
    guesses = first_guesses(clips, run.camera.fov) if run.camera.learn else []
    module = DepthModule(run, objective, run.training.epochs * data.epoch_steps(), guesses, semantics, resume)
    if module.teacher is not None:
        module.teacher.check_clips([*clips, *validation])
        if resume:
            check_same_teacher(output, str(module.teacher))
    check_contracts(module, data)
    if before is not None:
        check_state(before.state, before.meta, module)
    if not resume and run.initial.depth is None:
        run.networks.depth.adapt(module.depth, first_images(data))
    scale = scale_source(run, objective, clips)
    trainer = _trainer(run, output, clips, data, scale, assumed, SameData(output, [*found, *validation]))
    problems: list[str] = []
    if not (resume or checked):
        with _announced("looking    at frames of the data"):
            problems = check_findings(run, found, objective)
    guidance = run.networks.depth.guidance
    if guidance is not None and guidance.cache is not None:
        cached = cache_features(module, guidance.cache, [data.train, *([data.val] if data.val else [])])
        if trainer.is_global_zero:
            print(f"features   {cached}", flush=True)
    if module.teacher is not None and module.teacher.folder is not None:
        cached = cache_teacher(module.teacher, run, [data.train, *([data.val] if data.val else [])])
        if trainer.is_global_zero:
            print(f"teacher    {cached}", flush=True)
    if trainer.is_global_zero:
        print(f"data       {data_in_words(run.data.train, found, data.train, scale)}")
        print(summary(run, clips, data, module, scale, _frames(found), assumed))
        starts = [] if before is not None else [(name, path) for name, path in run.initial if path is not None]
        print("".join(f"initial    {name} from {address(path)}\n" for name, path in starts), end="")
        print("".join(f"check      {problem}\n" for problem in problems), end="", flush=True)
        if said_by_road is not None:
            print(f"road       {said_by_road}", flush=True)
        if advice and before is None:
            print(f"start      {advice}", flush=True)
    state = None if before is None else before.state
    with ranks_in_words(output, processes):
        trainer.fit(module, datamodule=data, ckpt_path=state, weights_only=True)
    if trainer.current_epoch < run.training.epochs:
        raise InputError(
            f"{output}: the training ended after {trainer.current_epoch} of {run.training.epochs} epochs; go on with "
            f"--resume"
        )
    if trainer.is_global_zero:
        for camera in checkpoint.read_description(output / "last")[1].cameras:
            print(f"camera: {camera}")
        device = "cpu" if run.training.accelerator == "cpu" else "auto"
        flat = flat_depth(output / "best", run, clips, device)
        if flat is not None and flat.collapsed:
            raise InputError(flat.sentence)
        if flat is not None:
            print(f"warning: {flat.sentence}")
        seen = trained_on(validation, clips)
        meta = check_scales(output, clips, [clip for clip in validation if clip not in seen], device)
        print(f"scale: {meta.scale}")
        epoch = f"epoch {checkpoint.read_description(output / 'best')[1].epoch} of {run.training.epochs}"
        print(f"checkpoints: {output / 'best'} ({epoch}) and {output / 'last'}")
        data_at = getattr(run.data.train[0], run.data.train[0].place)
        print(f"judge depth: packdepth evaluate {output / 'best'} --protocol own --data {data_at}")
    return output / "best"


class RunClips(NamedTuple):
    """The clips of a run."""

    found: list[Clip]  # clips to train on, static frames included
    clips: list[Clip]  # clips to train on, without the static frames that the run drops
    validation: list[Clip]  # clips to validate on
    assumed: list[Camera]  # cameras of the uncalibrated clips whose field of view the run states
    said_by_road: str | None  # what the motion of the road says of the speeds or poses; None if another one checked


def _announced(text: str) -> AbstractContextManager[None]:
    """Announce what a block does (`progress.announced`), in the first of several processes only."""
    return announced(text) if is_first_rank() else nullcontext()


def run_clips(run: Run, objective: Objective, checked: bool = False) -> RunClips:
    """Return the clips of a run, after checking that they hold what it needs.

    Args:
        run: the run.
        objective: its objective.
        checked: whether another process has checked already that their measurements agree, which takes seconds.

    Raises InputError, one sentence, if a source cannot be used or a clip lacks something.
    """
    whole, found, validation = training_and_validation(run)
    uncalibrated = [clip for clip in found if clip.missing_camera is not None]
    assumed: list[Camera] = []
    if not run.camera.learn and run.camera.fov is not None:
        whole, found, validation = (assume_fov(clips, run.camera.fov) for clips in (whole, found, validation))
        assumed = distinct_cameras(assume_fov(uncalibrated, run.camera.fov))
    clips = moving(found, run.data.drop_static)
    _warn_of_standing_tails(found, validation, run.data.drop_static)
    _warn_of_stretched_images([*clips, *validation], run.image_size)
    if not run.camera.learn:
        check_calibrated([*clips, *validation])
    check_offers(clips, objective.needs(), validation)
    said_by_road = None
    if not checked:
        said_by_road = check_agreement(whole, objective.batch_fields)
        check_faults(whole, objective.batch_fields)
    for term in objective.terms:
        if isinstance(term, Sky) and term.by == "labels":
            check_sky([*clips, *validation], term.label)
    if run.data.beams is not None:
        check_scans(clips)
    if run.networks.depth.label_classes is not None:
        check_labeled([*clips, *validation])
        common_classes([*clips, *validation])  # raises InputError if they differ
    return RunClips(found, clips, validation, assumed, said_by_road)


def _warn_of_standing_tails(clips: Sequence[Clip], validation: Sequence[Clip], drop: DropStatic | None) -> None:
    """Warn of held-out tails in most of whose frames the camera stands, where training leaves such frames out."""
    if drop is None:
        return
    names = {clip.name for clip in clips}
    for tail in validation:
        if tail.name in names and (standing := int(static_frames(tail, drop).sum())) > len(tail.frames) / 2:
            warnings.warn(
                f"{tail.name}: the camera stands in {standing} of the {counted(len(tail.frames), 'frame')} held out, "
                f"which choose the best checkpoint; cut the clip before them with frames",
                InputWarning,
                stacklevel=2,
            )


def _warn_of_stretched_images(clips: Sequence[Clip], image_size: tuple[int, int]) -> None:
    """Warn of clips whose images have another shape than the image size, once for each size of images."""
    of_size: dict[tuple[int, int], dict[str, None]] = {}  # with the names of the clips, each once
    for clip in clips:
        of_size.setdefault((clip.camera.width, clip.camera.height), {})[clip.name] = None
    for (width, height), names in of_size.items():
        stretch = image_size[1] / image_size[0] * height / width
        if not 1 / MAX_STRETCH <= stretch <= MAX_STRETCH:
            side = f"{stretch:.2g} times as wide" if stretch > 1 else f"{1 / stretch:.2g} times as high"
            warnings.warn(
                f"{listed(list(names))}: images of {width}x{height} are stretched to {image_size[1]}x{image_size[0]}, "
                f"{side} as they are; train on clips of one shape, with data.image_size, height first, of this shape",
                InputWarning,
                stacklevel=2,
            )


def training_and_validation(run: Run) -> tuple[list[Clip], list[Clip], list[Clip]]:
    """Return the training clips as they were found, what a run trains on of them, and the clips that it validates on.

    The second lacks repeated frames and the held-out tails, and still has the static frames.

    Args:
        run: the run.

    Raises InputError if the data of a source cannot be used.
    """
    gc.collect()  # what an earlier training in this process has left in cycles must not be frozen with the frames
    whole = [clip for source in run.data.train for clip in source.clips()]
    validation = [clip for source in run.data.val for clip in source.clips()]
    gc.freeze()  # all frames stay to the end: a million take the garbage collector seconds, and workers need no copies
    check_sizes_of_videos([*whole, *validation])
    clips, validation = without_repeated_frames(whole, validation)
    if both := trained_on(validation, clips):
        warnings.warn(
            f"data.val: {listed([clip.name for clip in both])} is trained on, too, so that scores say nothing about "
            f"other images; leave it out, and write val_tail: 0.1 to hold out the end of each clip",
            InputWarning,
            stacklevel=2,
        )
    if run.data.val_tail == 0:
        return whole, clips, validation
    clips, tails = without_tail(clips, run.data.val_tail, run.data.context)
    return whole, clips, [*validation, *tails]


def as_run(
    run: Run | Path | str | Mapping[str, Any], overrides: Sequence[str] = (), packages: Mapping[str, str] | None = None
) -> Run:
    """Return the run that an object, a run file or a mapping describes.

    Args:
        run: a `Run`, the path of a run file, or the content of one.
        overrides: values to change in a run file, such as "training.epochs=5".
        packages: packages of the checkpoint that the run continues, by kind: an error names one that is missing.

    Raises InputError if the run cannot be used.
    """
    context = CheckpointContext(packages=packages or {})
    if isinstance(run, (Path, str)):
        return load_run(Path(run), tuple(overrides), context)
    if overrides:
        raise InputError("overrides change a run file; change the Run or the mapping itself")
    if not isinstance(run, Run):
        return parse_run(dict(run), "run", context)
    for block in blocks_of(run):
        if isinstance(block, Unknown):  # from a checkpoint, which can be read without them
            raise InputError(
                f"run: the class of kind '{block.kind}' was not installed when this run was read; install its package "
                f"or define it, and read the run again"
            )
    return run


def first_images(data: RunData) -> Tensor:
    """Return a few training images [B, 3, H, W], RGB in [0, 1], spread over the clips; the same in each process.

    Args:
        data: the data of the run.
    """
    samples = data.train.plain()
    count = min(FIRST_IMAGES, len(samples))
    return torch.stack([samples[index * len(samples) // count].image for index in range(count)])


def check_contracts(module: DepthModule, data: RunData) -> None:
    """Raise InputError, one sentence, if a part of another project does not keep its contract.

    The parts are tried on the first samples, which leaves the state of terms as it was. A run of packdepth's own parts
    only is not tried.

    Args:
        module: the training module, with the networks and the objective of the run.
        data: the data of the run.
    """
    run = module.run
    if not packages_of(run):
        return
    module.optimizer_and_schedule()
    for step in (0, module.steps // 2, module.steps - 1, module.steps):
        multiplier_at(run.training, step, module.steps)
    networks, share = run.networks, run.training.batch_size // (run.training.devices * run.training.nodes)
    batch = Batch.stack([data.train[index] for index in range(min(share, len(data.train), TRIED_SAMPLES))])
    module.eval()
    with torch.random.fork_rng(devices=[]):  # the trial does not change the random numbers of the run
        with blaming(f"networks.depth: '{networks.depth.kind}'", type(networks.depth)):
            inv_depths = module.inv_depths(batch.network_image, batch.image, batch.semantic)
        if package_of(type(networks.depth)) is not None:
            check_inverse_depths(inv_depths, batch.image, networks.depth.kind)
        if networks.pose is None:
            outputs = module(batch)
        else:
            with blaming(f"networks.pose: '{networks.pose.kind}'", type(networks.pose)):
                outputs = module(batch)
            check_motions(outputs.T_context_target, networks.pose.kind)
        batch = module.taught(module.calibrated(batch))
        state = {name: value.clone() for name, value in module.terms.state_dict().items()}
        module.objective.check(outputs, batch)
        check_gradient(module, outputs, batch)
        module.terms.load_state_dict(state)
    module.train()


def check_gradient(module: DepthModule, outputs: Outputs, batch: Batch) -> None:
    """Raise InputError if the gradient of the objective cannot be computed, or reaches no weight of a trained network.

    It must reach all parameters of terms with state, too. The gradient of each term of another project must be finite:
    that of a root at zero is not, though its value is. Warn of terms of other projects, with a positive weight, that
    depend on no trained weight.

    Args:
        module: the training module, with the networks and the objective of the run.
        outputs: the predictions of its networks for the batch.
        batch: the batch.
    """
    total, values = module.objective(outputs, batch)
    weights = [weight for weight in module.parameters() if weight.requires_grad] if total.requires_grad else []
    own = [term for term in of_others(module.objective.terms) if term.weight > 0]
    try:
        for term in own:
            if values[term.kind].requires_grad:
                found = torch.autograd.grad(values[term.kind], weights, allow_unused=True, retain_graph=True)
                _check_finite(term, found)
        gradients = torch.autograd.grad(total, weights, allow_unused=True) if weights else ()
    except RuntimeError as error:
        raise InputError(
            f"the gradient of the objective cannot be computed ({' '.join(str(error).split())}); "
            f"a term or network changes a tensor in place: let it make a new one"
        ) from error
    reached = {weight for weight, gradient in zip(weights, gradients, strict=True) if gradient is not None}
    for name, network in module.trained().items():
        trained = [weight for weight in network.parameters() if weight.requires_grad]
        if trained and reached.isdisjoint(trained):
            raise InputError(
                f"networks.{name}: no weight of '{getattr(module.run.networks, name).kind}' gets a gradient from the "
                f"objective, so that it would learn nothing; let its outputs depend on its weights, without detach, "
                f"and give a term that depends on them"
            )
    for kind, part in module.objective.modules.items():
        for name, parameter in part.named_parameters():
            if parameter.requires_grad and parameter not in reached:
                raise InputError(
                    f"objective term '{kind}': {name} of its module gets no gradient, so that it would not be trained; "
                    f"let the term depend on it, or call requires_grad_(False) if it stays as it is"
                )
    for term in own:
        if not values[term.kind].requires_grad:
            warnings.warn(
                f"objective term '{term.kind}' depends on no network on the first samples, and trains nothing: let it "
                f"use the outputs without detach, or give it weight 0",
                InputWarning,
                stacklevel=2,
            )


def _check_finite(term: Term, gradients: Sequence[Tensor | None]) -> None:
    """Raise InputError if the gradient of a term, by weight, is not finite."""
    if not all(gradient is None or bool(gradient.isfinite().all()) for gradient in gradients):
        raise InputError(
            f"objective term '{term.kind}' has a gradient that is not finite on the first samples, though its value "
            f"is; {KEEP_FINITE}"
        )


def scale_source(run: Run, objective: Objective, clips: Sequence[Clip]) -> str:
    """Return the source of metric scale, or "none" if depth is known up to a factor only.

    Examples are "velocity (poses)", "depth (lidar)" and "stereo"; several sources are joined by commas. A frozen depth
    network has the source of the checkpoint that it comes from.

    Args:
        run: the run.
        objective: the objective of the run.
        clips: the clips to train on.
    """
    if run.networks.depth.frozen:
        assert run.initial.depth is not None
        folder = checkpoint_at("initial.depth", run.initial.depth)
        return checkpoint.read_description(folder)[1].scale_source
    metric_from = objective.metric_from
    sources = [
        field.scale(clips, run.data.beams) for field in FIELDS.values() if field.name in metric_from and field.scale
    ]
    others = sorted(name for name in metric_from if name not in FIELDS or FIELDS[name].scale is None)
    return ", ".join([*sources, *others]) or "none"


def check_same_teacher(output: Path, teacher: str) -> None:
    """Raise InputError if a run is to be resumed with another teacher than it began with.

    Args:
        output: the output of the run.
        teacher: name and hash of the network that teaches.
    """
    before = checkpoint.read_description(output / "last")[1].teacher
    if before != teacher:
        raise InputError(
            f"{output}: was taught by {before}, but the weights there are now others, {teacher}; give back the former "
            f"ones, or train into another --output"
        )


def summary(
    run: Run,
    clips: Sequence[Clip],
    data: RunData,
    module: DepthModule,
    scale: str,
    frames: int,
    assumed: Sequence[Camera] = (),
) -> str:
    """Return a summary of the data, the networks and the training, in a few lines.

    Args:
        run: the run.
        clips: the clips to train on. Static frames are already dropped if the run drops them.
        data: the data of the run.
        module: the module with the networks.
        scale: the source of metric scale, or "none".
        frames: number of frames of the sources, including dropped static frames.
        assumed: cameras that clips without calibration are assumed to have.
    """

    def network(name: str) -> str:
        parameters = list(module.networks[name].parameters())
        count, trained = (
            sum(parameter.numel() for parameter in parameters if parameter.requires_grad or not only) / 1e6
            for only in (False, True)
        )
        part = f", {trained:.2f} M of them trained" if trained < count else ""
        part = ", frozen" if is_frozen(run, name) else part
        return f"{getattr(run.networks, name).describe()}, {count:.2f} M parameters{part}"

    training, guidance = run.training, guidance_of(module.depth)
    drop, kept = run.data.drop_static, _frames(clips)
    targets = [clip.frames[index] for clip, index in data.train.targets]
    if run.data.beams is None:
        measured = sum(map(has_measured_depth, targets))
    else:
        measured = sum(frame.lidar is not None for frame in targets)
    breaks = sum(int(gaps(clip).sum()) for clip in clips)
    validated, targeted = (0, 0) if data.val is None else (_frames(data.val.clips), len(data.val))
    unknown, processes = scale == "none", training.devices * training.nodes
    unmeasured = sum(len(target_indices(clip, run.data.context)) for clip in clips) - len(data.train)
    lines = [
        f"clips      {len(clips)} ({', '.join(clip.name for clip in clips[:4])}{', ...' if len(clips) > 4 else ''})",
        f"frames     {kept}, {len(data.train)} of them targets with context {list(run.data.context)}"
        + (f"; {counted(breaks, 'gap')} in time, not crossed" if breaks else "")
        + (f"; {unmeasured} without a known distance (no speed or pose) are context only" if unmeasured else "")
        + (f"; {measured} targets with measured depth" if "truth" in data.train.fields else "")
        + (f"; {validated} to validate on, {targeted} of them targets" if validated else "")
        + ("; those that are no targets are context only" if kept + validated > len(data.train) + targeted else ""),
        *([] if drop is None else [f"static     {frames - kept} of {frames} frames left out, by {drop.by}"]),
        f"images     {run.data.image_size[0]}x{run.data.image_size[1]} (height x width)"
        + ("" if run.data.zoom == 1 else f"; depth on windows of {run.data.zoom:.0%} of a side or more"),
        f"depth      {network('depth')}",
        *([] if guidance is None else [f"guided by  {guidance.describe()}"]),
        f"pose       {'none' if module.pose is None else network('pose')}",
        *[f"speeds     {clip.name}: {clip.speed_source}" for clip in clips[:4] if clip.speed_source],
        f"objective  {', '.join(f'{term.weight:g} {term.kind}' for term in run.objective)}",
        f"training   {counted(training.epochs, 'epoch')} of {counted(data.epoch_steps(), 'step')} of "
        f"{counted(training.batch_size, 'sample')}",
        f"scale      {'unknown: depth up to a factor' if unknown else f'from {scale}, measured after training'}",
        *_camera_lines(run, clips, module, assumed),
        *([] if processes == 1 else [f"processes  {process_line(processes, module)}"]),
    ]
    return "\n".join(lines)


def _camera_lines(run: Run, clips: Sequence[Clip], module: DepthModule, assumed: Sequence[Camera]) -> list[str]:
    """Return a line about cameras that are learned or assumed; none if all are calibrated."""
    if module.cameras is not None:
        fovs = ", ".join(dict.fromkeys(f"{camera.fov():.4g}" for camera in module.cameras.guesses))
        origins = dict.fromkeys(clip.guess or "assumed" for clip in clips)
        origin = ", ".join(origins) if run.camera.fov is None else "camera.fov"
        return [f"cameras    {len(module.cameras.guesses)}, learned from {fovs} degrees ({origin})"]
    return [f"cameras    {len(assumed)} as stated, {run.camera.fov:g} degrees across (camera.fov)"] if assumed else []


def _frames(clips: Sequence[Clip]) -> int:
    return sum(len(clip.frames) for clip in clips)


def _trainer(
    run: Run,
    output: Path,
    clips: Sequence[Clip],
    data: RunData,
    scale: str,
    assumed: Sequence[Camera],
    same_data: SameData,
) -> pl.Trainer:
    training = run.training
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for message in LIGHTNING_CHATTER:
        warnings.filterwarnings("ignore", message=message)
    log = RunLog(output)
    try:
        return pl.Trainer(
            accelerator=training.accelerator,
            devices=training.devices,
            num_nodes=training.nodes,
            strategy=_strategy(run),
            plugins=[StateFile()],
            precision="bf16-mixed" if training.precision == "bf16" else "32-true",
            max_epochs=training.epochs,
            logger=TensorBoardLogger(output, name=None, version="tensorboard"),
            callbacks=[
                same_data,
                Calibration(data),
                log,
                Steps(output, training.clip_norm),
                Checkpoints(output, run, clips, scale, log, assumed),
                RunProgress(run, log),
            ],
            log_every_n_steps=1,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            benchmark=True,  # of cuDNN, see fastest_convolutions; on a CPU nothing changes
        )
    except MisconfigurationException as error:
        raise InputError(
            f"training.accelerator, training.devices: {' '.join(str(error).split())}; give what this machine has"
        ) from None


def _strategy(run: Run) -> str | DDPStrategy | ModelParallelStrategy:
    """Return Lightning's strategy for the processes of a run."""
    processes = run.training.devices * run.training.nodes
    if processes == 1:
        return "auto"
    if run.training.strategy == "fsdp":
        return fsdp_strategy(processes)
    return ddp_strategy(any(network is not None and network.has_unused for _, network in run.networks))


class Resumable(NamedTuple):
    """A training that can be resumed."""

    run: Run | Imported  # its run file
    meta: checkpoint.Meta  # description of its checkpoint `last`
    state: Path  # file with the trainer's state


def _resumable(output: Path) -> Resumable:
    """Return the training in an output. Raises InputError unless it can be resumed."""
    state = output / "last" / checkpoint.TRAINER_STATE
    if not state.is_file():
        raise InputError(f"{output / 'last'}: holds no run to go on with; train without --resume")
    return Resumable(*checkpoint.read_description(output / "last"), state)


def _check_same_run(output: Path, before: Run | Imported, run: Run) -> None:
    """Raise InputError unless an interrupted run may go on with the values of another."""
    if isinstance(before, Run) and run.camera.fov is None and before.camera.fov == OLD_FOV:
        before = before.model_copy(update={"camera": before.camera.model_copy(update={"fov": None})})
    checkpoint.check_unchanged(output, before, run, FREE_ON_RESUME)
