"""The choice of the values of a run file, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from packdepth.data.held_out import tail_length, without_tail
from packdepth.data.stereo_pairs import stereo_lack, stereo_lacks
from packdepth.data.targets import distance_source, has_measured_depth, has_metric_height, metres_advice, target_indices
from packdepth.networks.options import BEST_ENCODER, has_best_weights
from packdepth.optimization.muon import BOUNDING_DECAY
from packdepth.progress import counted
from packdepth.recommend.look import Look
from packdepth.records import Clip
from packdepth.sources.files import listed
from packdepth.sources.guess import guess_in_words

# Settings, with the records in docs/results that they come from.
AREAS = (
    14_336,
    30_720,
    53_248,
    122_880,
)  # pixels: 64x224, 96x320, 128x416, 192x640, the sizes that records are made at
MULTIPLE = 32  # pixels: height and width, so that PackNet's five packing steps need no padding
# training samples below which a smaller image size is better, from scratch (docs/results/2026-11-26-init.md)
FEW_IMAGES = 3000
FEW_PRETRAINED = 2000  # likewise of a pretrained network (docs/results/2026-11-26-init-sizes.md)
ROUGH_IMAGES = FEW_IMAGES // 2  # training samples below which depth is called rough in advance; chosen
# training samples beyond which a clip of one street gains nothing (docs/results/2026-11-21-sequence-06-speed.md)
MANY_IMAGES = 12_000
# training samples of each place, where there are many (docs/results/2026-11-22-demo.md: 560 steps of 16, 56 drives)
IMAGES_OF_A_PLACE = 400
STARTING = 45.0  # seconds before the first step and after the last one: 25 to 60 on two cores
TRAINING_SHARE = 0.8  # of the seconds between: the rest is reading images, validation, and a machine that is busier
PLACE = 50.0  # metres of path that show one place; a car's camera sees about as far
FRAMES_OF_A_PLACE = 50  # frames that show one place, where the path's length is not known
# places from which on the network can learn what they share, and is helped by augmentation (docs/how-to/settings.md)
MANY_PLACES = 8
BUSY = 1.25  # times the processor time of the timed steps, from which other work is said to slow training; chosen
# share of frames from which `reprojected` holds: 1 in 2 did, 1 in 12 collapsed (docs/results/2026-11-27-few-scans.md)
OFTEN = 0.3
TAIL = 0.1  # share of each clip that is held out; chosen: as little as a loss can be averaged over
EPOCHS = 3  # checkpoints of a short training: a tail of a few frames cannot tell many apart
# at least, where the camera is learned: it is determined at the end of each (docs/how-to/unknown_camera.md)
CAMERA_EPOCHS = 5
BEST_AFTER = 0.6  # of the epochs: from then on the learning rate is below 90 % and falls
EPOCH_MINUTES = 4.0  # of a long training; chosen
USUAL_MOTION = 0.015  # image widths between a frame and its context: that of KITTI at 10 frames a second
SMALL_MOTION = 0.6  # of it: below, context frames are taken from farther away
MAX_STRIDE = 10  # frames between target and context
ROTATION_SCALE = 0.03  # radians for a unit of predicted rotation; for one of translation, the step from frame to frame
DEPTH_LIMITS = (0.1, 300.0)  # metres, of the initial depth: beyond them, the data say something odd
USUAL_DEPTHS = (1.0, 30.0)  # metres, typical depths that the default range of the networks suits
NEAREST, FARTHEST = 0.01, 10.0  # of another typical depth: smallest and largest depth, as the defaults are of 10 m
UNKNOWN_DEPTH = 12.0  # metres: the initial depth where nothing tells it, that of streets
CACHE_BYTES = 2 * 1024**3  # bytes of memory for resized images; more images are read from disk in every pass
BYTES_OF_A_PIXEL = 12  # three float32


@dataclass(frozen=True)
class Choice:
    """A value of the run file and the reason for it."""

    key: str  # dotted name, such as "data.image_size"
    value: Any  # as YAML holds it
    why: str  # the comment beside it


@dataclass(frozen=True)
class Budget:
    """The time that a training may take, and the device that it takes it on."""

    minutes: float  # minutes of the whole training
    accelerator: Literal["cpu", "gpu"]  # device
    processes: int  # number of processes; on a CPU each has one thread
    seed: int = 1  # seed of the training

    @property
    def seconds_between(self) -> float:
        """The seconds between starting and the end: a quarter of the minutes at least."""
        return max(60 * self.minutes - STARTING, 15 * self.minutes)


@dataclass(frozen=True)
class Situation:
    """The data, the budget and what follows from them for the whole run file."""

    look: Look  # measurements of the data
    budget: Budget  # what the training may cost
    context: Sequence[int]  # offsets of the context frames; none for stereo pairs and unrelated images
    kept: Sequence[Clip]  # what is trained on, without the held-out tails
    tails: Sequence[Clip]  # what is held out

    @property
    def places(self) -> float:
        """Number of places, as `place_count` counts them."""
        return place_count(self.look)

    @property
    def many(self) -> bool:
        """Whether the network can learn what places share, in place of each of them."""
        return self.places >= MANY_PLACES

    @property
    def stereo(self) -> bool:
        """Whether the run trains on stereo pairs."""
        return uses_stereo(self.look)

    @property
    def averages(self) -> bool:
        """Whether each step must see many places, see `averages_places`."""
        return averages_places(self.look)

    @property
    def pretrained(self) -> bool:
        """Whether the depth network starts from ImageNet: if the package of the weights is installed."""
        return has_best_weights()

    @property
    def depth(self) -> float:
        """The typical depth of the scene, in metres, within `DEPTH_LIMITS`."""
        return min(max(self.look.depth or UNKNOWN_DEPTH, DEPTH_LIMITS[0]), DEPTH_LIMITS[1])

    @property
    def usual(self) -> bool:
        """Whether the default range of the networks suits this depth."""
        return USUAL_DEPTHS[0] <= self.depth <= USUAL_DEPTHS[1]

    @property
    def has_distance(self) -> bool:
        """Whether the run may use the distance traveled, which what is kept and each tail then have."""
        drives = [clip for clip in (*self.kept, *self.tails) if not clip.independent]
        measured = bool(drives) and all(target_indices(clip, self.context, measured=True) for clip in drives)
        return self.look.step is not None and measured

    @property
    def often_measured(self) -> bool:
        """Whether enough frames have measured depth for the term `reprojected` to hold the motion that it needs."""
        frames = [has_measured_depth(frame) for clip in self.kept for frame in clip.frames]
        return sum(frames) >= OFTEN * len(frames)


def choose(look: Look, source: dict[str, Any], budget: Budget, keeps_depth: bool = False) -> list[Choice]:
    """Return the values of a run file, without the number of steps, which `with_steps` adds.

    Args:
        look: measurements of the data.
        source: the block of the source.
        budget: what the training may cost.
        keeps_depth: whether measured depth is kept for evaluation, so that it must not choose the best checkpoint.
    """
    context = context_offsets(look)
    situation = Situation(look, budget, context, *_kept_and_tails(look.clips, context))
    return [
        Choice("data.train", [source], f"{counted(len(look.clips), 'clip')}, {counted(look.frames, 'frame')}"),
        *_held_out(situation),
        *_context_choice(situation),
        *_static(situation),
        *_augmentation(situation),
        *_reading(situation),
        *_camera(look.clips),
        *_networks(situation),
        *_terms(situation),
        *_training(situation),
        *([Choice("training.best_by", "loss", "measured depth is kept for evaluation")] if keeps_depth else []),
    ]


def scale_in_advance(choices: Sequence[Choice], look: Look) -> str:
    """Return one line that says whether the run will have metres, and what would give them if not.

    Args:
        choices: the values of the run file.
        look: measurements of the data.
    """
    terms = next(choice.value for choice in choices if choice.key == "objective")
    sources = {
        "velocity": " and ".join(_distance_sources(look.clips)),
        "poses": "poses",
        "stereo": "stereo pairs",
        "camera_height": "the height of the camera",
        "reprojected": "measured depth",
        "sparse_l1": "measured depth",
        "abs_rel": "measured depth",
    }
    found = [sources[term["kind"]] for term in terms if term["kind"] in sources]
    if found:
        return f"metres from {', '.join(dict.fromkeys(found))}"
    advice = f"{metres_advice(look.clips)} to import or init"
    if unused_stereo(look):
        advice = f"add what the stereo pairs lack, or {advice}"
    measured = sum(any(map(has_measured_depth, clip.frames)) for clip in look.clips)
    if measured and measured == len(look.clips):
        return f"up to a factor: outside the held-out frames not every clip has measured depth; {advice}"
    if measured:
        return (
            f"up to a factor: only {counted(measured, 'clip')} of {len(look.clips)} can be trained by measured depth; "
            f"leave out the others"
        )
    drives = [clip for clip in look.clips if not clip.independent]
    unknown = [clip.name for clip in drives if distance_source(clip) is None]
    if 0 < len(unknown) < len(drives):
        return (
            f"up to a factor: {listed(unknown)} without speeds and poses, which other clips have; leave out what has "
            f"none, or give its log"
        )
    return f"up to a factor: nothing gives metres; {advice}"


def _distance_sources(clips: Sequence[Clip]) -> list[str]:
    """Return what the lengths of motion are known from: "poses", "speed" or both."""
    return sorted({distance_source(clip) or "speed" for clip in clips if not clip.independent})


def plan_in_words(choices: Sequence[Choice], budget: Budget, slowdown: float) -> list[str]:
    """Return lines that say what the training will do, how long it takes, and what more time would give.

    Args:
        choices: the values of the run file.
        budget: what the training may cost.
        slowdown: how many times as long the training takes beside the other work on this machine.
    """
    values = {choice.key: choice for choice in choices}
    (height, width), steps = values["data.image_size"].value, values["training.epoch_steps"]
    busy, minutes = slowdown > BUSY, budget.minutes * slowdown
    decimals = 1 if minutes < 10 else 0
    longer = f"; other work here slows it to roughly {minutes:.{decimals}f} minutes at the present load" if busy else ""
    clock = "of processor time" if budget.accelerator == "cpu" else "as measured just now"
    samples = steps.value * values["training.epochs"].value * values["training.batch_size"].value
    lines = [
        f"images     {height}x{width}: {values['data.image_size'].why}",
        f"training   {steps.why}, {clock}{longer}",
    ]
    if samples < ROUGH_IMAGES:
        minutes = (STARTING + FEW_IMAGES / samples * budget.seconds_between) / 60
        advice = f"expect rough depth, or give --minutes {math.ceil(minutes)} ({FEW_IMAGES} samples are a good start)"
        lines.append(f"           {samples} samples are few: {advice}")
    return lines


def uses_stereo(look: Look) -> bool:
    """Return whether the run trains on stereo pairs: all clips have them, and they are not to be left out.

    Args:
        look: measurements of the data.
    """
    return all(stereo_lack(clip) is None for clip in look.clips)


def unused_stereo(look: Look) -> list[str]:
    """Return why the run does not train on the stereo pairs that some clips have, a phrase for each clip.

    Args:
        look: measurements of the data.
    """
    return [f"{name}: {lack}" for name, lack in stereo_lacks(look.clips).items()]


def context_offsets(look: Look) -> list[int]:
    """Return the offsets of the context frames; none for stereo pairs and unrelated images.

    Args:
        look: measurements of the data.
    """
    return [] if uses_stereo(look) or not look.is_sequential else _context(look)


def usable(look: Look) -> tuple[list[Clip], list[str]]:
    """Return the clips that the run can train on, and why the others are left out, a phrase for each.

    Args:
        look: measurements of the data.
    """
    context = context_offsets(look)
    used, reasons = [], []
    for clip in look.clips:
        if context and clip.independent:
            reasons.append(f"{clip.name}: unrelated images")
        elif context and not target_indices(clip, context):
            reasons.append(f"{clip.name}: {counted(len(clip.frames), 'frame')}, too few for context {context}")
        elif context and clip.name in look.still:
            reasons.append(f"{clip.name}: the camera stands")
        else:
            used.append(clip)
    return used, reasons


def _kept_and_tails(clips: Sequence[Clip], context: Sequence[int]) -> tuple[list[Clip], list[Clip]]:
    """Return what is trained on and what is held out."""
    if not any(tail_length(clip, TAIL, context) for clip in clips):
        return list(clips), []
    return without_tail(clips, TAIL, context)


def place_count(look: Look) -> float:
    """Return how many places the clips show: stretches of 50 metres, or of 50 frames where the path is not known.

    Each of some unrelated images shows a place of its own.

    Args:
        look: measurements of the data.
    """
    drives = sum(not clip.independent for clip in look.clips)
    shown = _moving(look) / FRAMES_OF_A_PLACE if look.path is None else look.path / PLACE
    return _unrelated(look) + max(drives, shown)


def places_in_words(look: Look) -> str:
    """Return how many places the clips show, and how they are counted, in words.

    Args:
        look: measurements of the data.
    """
    places = counted(max(round(place_count(look)), 1), "place")
    unrelated = _unrelated(look)
    images = counted(unrelated, "unrelated image")
    if unrelated == look.frames:
        return f"{images} show {places}"
    path, each = f"{_moving(look):.0f} frames in motion", f"{FRAMES_OF_A_PLACE} frames"
    if look.path is not None:
        path, each = f"{look.path:.0f} m of path", f"{PLACE:g} m"
    before = f"{images} and " if unrelated else ""
    return f"{before}{path} show {places} (one per {each}, at least one per clip)"


def _unrelated(look: Look) -> int:
    """Return the number of images that belong to no drive."""
    return sum(len(clip.frames) for clip in look.clips if clip.independent)


def _moving(look: Look) -> float:
    """Return the number of frames of drives in which the camera moves."""
    return (look.frames - _unrelated(look)) * (1 - look.static)


def averages_places(look: Look) -> bool:
    """Return whether each training step must see many places, in many small images.

    Video of one place leaves much to chance, which others even out. A stereo pair does not: of pairs of many places,
    few and larger images a step are better (docs/results/2026-11-27-sequence-06-and-pairs.md).

    Args:
        look: measurements of the data.
    """
    return place_count(look) >= MANY_PLACES and not uses_stereo(look)


def image_sizes(clips: Sequence[Clip]) -> list[tuple[int, int]]:
    """Return the image sizes to choose from, height and width, small to large: multiples of 32 in the clips' shape.

    Args:
        clips: the clips; the first one gives the shape. No size is larger than its images.
    """
    camera = clips[0].camera
    sizes: list[tuple[int, int]] = []
    for area in AREAS:
        if area > camera.height * camera.width and sizes:
            break
        size = _size(camera.height, camera.width, area)
        if size not in sizes:
            sizes.append(size)
    return sizes


def _size(height: int, width: int, area: int) -> tuple[int, int]:
    """Return the multiples of 32 nearest to an area in pixels, and to the shape of an image."""
    best = min(
        (abs(math.log(h * w / area)) + 2 * abs(math.log((w / h) / (width / height))), h, w)
        for h in range(2 * MULTIPLE, 25 * MULTIPLE, MULTIPLE)
        for w in range(2 * MULTIPLE, 41 * MULTIPLE, MULTIPLE)
    )
    return best[1], best[2]


def with_steps(
    choices: Sequence[Choice],
    look: Look,
    budget: Budget,
    step_seconds: Callable[[Sequence[Choice], tuple[int, int]], float],
) -> list[Choice]:
    """Return the choices with image size, number of steps and schedule, by the measured time of a step.

    The largest image size is taken at which the budget pays for enough samples.

    Args:
        choices: what `choose` returned.
        look: measurements of the data.
        budget: what the training may cost.
        step_seconds: returns the seconds of a training step at an image size.
    """
    values = {choice.key: choice.value for choice in choices}
    batch, places = int(values["training.batch_size"]), place_count(look)
    few = FEW_PRETRAINED if values["networks.depth"]["kind"] == "encoder_decoder" else FEW_IMAGES
    wanted = max(few, IMAGES_OF_A_PLACE * places if averages_places(look) else 0)
    most = max(MANY_IMAGES, IMAGES_OF_A_PLACE * places)
    first, *larger = image_sizes(look.clips)
    size, seconds, next_size = first, step_seconds(choices, first), ""
    for other in larger:
        time = step_seconds(choices, other)
        minutes = (STARTING + wanted / batch * time / TRAINING_SHARE) / 60
        if minutes > budget.minutes:
            next_size = f"; {other[0]}x{other[1]} needs --minutes {math.ceil(minutes)}"
            break
        size, seconds = other, time
    paid = int(TRAINING_SHARE * budget.seconds_between / seconds)
    used = min(1.0, most / batch / max(paid, 1)) * budget.minutes
    epochs = max(CAMERA_EPOCHS if "camera" in values else EPOCHS, round(used / EPOCH_MINUTES))
    steps = max(min(paid, int(most / batch)), epochs)
    epoch_steps = steps // epochs
    warmup = min(100, steps // 8)
    unit = "minute" if budget.minutes == 1 else "minutes"
    whole = f"{budget.minutes:g} {unit} with starting, checks and validation"
    scope = whole if paid <= most / batch else f"{most:.0f} samples, more would teach nothing"
    height, width = look.clips[0].camera.height, look.clips[0].camera.width
    return [
        *choices,
        Choice(
            "data.image_size",
            list(size),
            f"height and width, about the shape of {width}x{height}{next_size}",
        ),
        Choice("training.epochs", epochs, _epochs_in_words("camera" in values)),
        Choice("training.best_after", BEST_AFTER, "`best` is chosen among the later ones, by the held-out tail"),
        Choice(
            "training.epoch_steps",
            epoch_steps,
            f"{epochs * epoch_steps} steps in all, for {scope}: a step took {seconds:.2f} s here",
        ),
        Choice(
            "training.schedule",
            {"kind": "cosine", "warmup": warmup, "hold": 0.5},
            "the rate is held before it falls to zero: better than a constant one in short runs",
        ),
    ]


def _epochs_in_words(learned: bool) -> str:
    """Return what the end of each epoch is for."""
    return f"each ends with a validation and a checkpoint{', and determines the camera' if learned else ''}"


# --- parts of the run file --------------------------------------------------------------------------------------


def _held_out(situation: Situation) -> list[Choice]:
    """Return the share of each clip that is validated on; nothing if no clip is long enough to be divided."""
    if not situation.tails:
        return []
    return [
        Choice("data.val_tail", TAIL, "the end of each clip is not trained on, and decides which checkpoint is best")
    ]


def _context(look: Look) -> list[int]:
    """Return the offsets of the context frames."""
    stride = 1
    if math.isfinite(look.motion) and look.motion < SMALL_MOTION * USUAL_MOTION:
        stride = min(round(USUAL_MOTION / look.motion), MAX_STRIDE)
    longest = max(len(clip.frames) for clip in look.clips)
    while stride > 1 and longest < 4 * stride + 2:
        stride -= 1
    return [-stride, stride]


def _context_choice(situation: Situation) -> list[Choice]:
    look, context = situation.look, situation.context
    if not context:
        why = "the right images are enough, and no ego-motion is learned" if situation.stereo else "single images"
        return [Choice("data.context", [], why)]
    motion = (
        "could not be followed" if math.isnan(look.motion) else f"moves by {look.motion:.1%} of its width per frame"
    )
    return [Choice("data.context", list(context), f"the image {motion}; {USUAL_MOTION:.1%} is a good distance")]


def _static(situation: Situation) -> list[Choice]:
    static = situation.look.static
    if not situation.context or static == 0:
        return []
    return [
        Choice(
            "data.drop_static",
            {"by": "image"},
            f"the camera stands in {static:.0%} of the frames, which teach nothing",
        )
    ]


def _augmentation(situation: Situation) -> list[Choice]:
    places = situation.places
    if situation.many:
        jitter = dict.fromkeys(("brightness", "contrast", "saturation"), 0.4)
        return [
            Choice(
                "data.augmentation", {"flip": 0.5, "jitter": jitter}, f"{places:.0f} places, to learn what they share"
            )
        ]
    why = f"none: {places_in_words(situation.look)}; so few are learned better as they are"
    return [Choice("data.augmentation", {"flip": 0.0, "jitter": None}, why)]


def _reading(situation: Situation) -> list[Choice]:
    budget = situation.budget
    needed = situation.look.frames * AREAS[1] * BYTES_OF_A_PIXEL * budget.processes
    if needed < CACHE_BYTES:
        return [
            Choice("data.workers", 0, "no processes that read images: they are read once"),
            Choice("data.cache", True, f"and stay in memory ({needed / 1024**2:.0f} MB)"),
        ]
    return [Choice("data.workers", 2 if budget.accelerator == "gpu" else 1, "processes that read images")]


def _camera(clips: Sequence[Clip]) -> list[Choice]:
    missing = [clip for clip in clips if clip.missing_camera is not None]
    if not missing:
        return []
    return [
        Choice(
            "camera",
            {"learn": True},
            f"no calibration in {missing[0].missing_camera}: focal length and center are learned, from a guess of "
            f"{guess_in_words(missing[0])}",
        )
    ]


def _networks(situation: Situation) -> list[Choice]:
    look, has_distance = situation.look, situation.has_distance
    limits: dict[str, float] = {}
    depth, why = _rounded(situation.depth), "the typical depth here"
    if look.depth is None:
        why = "a guess; only its ratio to the motion counts"
    elif situation.depth != look.depth:
        why = f"as {look.depth:.3g} m, the typical depth here, is odd"
    if not situation.usual:
        limits = {"min_depth": _rounded(NEAREST * depth), "max_depth": _rounded(FARTHEST * depth)}
        why = f"{why}, and predicts {limits['min_depth']:g} to {limits['max_depth']:g} m"
    if situation.stereo:
        depth, why = _rounded(0.6 * depth), "nearer than the typical depth: view synthesis pulls to the nearest match"
    why = f"starts at {depth:g} m, {why}"
    network: dict[str, Any] = {"kind": "encoder_decoder", "encoder": BEST_ENCODER, "initial_depth": depth} | limits
    if situation.pretrained:
        why = f"pretrained on ImageNet (extra pretrained); {why}"
    else:
        why = f"{why}; from random weights, as the extra pretrained is not installed"
        network["encoder"] = BEST_ENCODER | {"weights": None, "normalization": "group"}
        if situation.usual:
            preset = "tiny" if situation.budget.accelerator == "cpu" else "small"
            network = {"kind": "packnet", "preset": preset, "initial_depth": depth}
            if situation.many:
                network["dropout"] = 0.2
    choices = [Choice("networks.depth", network, why)]
    if not situation.context:
        return choices
    pose: dict[str, Any] = {"kind": "posenet"}
    if not look.is_forward:
        return [*choices, Choice("networks.pose", pose, "the camera moves in any direction")]
    forward = look.step if has_distance and look.step else look.expansion * depth
    pose["initial_forward"] = round(forward, 3)
    source = "measured" if has_distance else "what makes the image grow as it does at that depth"
    why = f"metres ahead from frame to frame, {source}"
    if forward > 0 and not has_distance:
        pose |= {"translation_scale": round(forward, 3), "rotation_scale": ROTATION_SCALE}
        why = f"{why}; with these scales, its changes are learned in time (docs/results/2026-11-26-changing-speed.md)"
    return [*choices, Choice("networks.pose", pose, why)]


def _rounded(value: float) -> float:
    """Return a number with three digits."""
    return float(f"{value:.3g}")


def _terms(situation: Situation) -> list[Choice]:
    look, context = situation.look, situation.context
    has_distance, many, stereo = situation.has_distance, situation.many, situation.stereo
    terms: list[tuple[dict[str, Any], str]] = []
    if context:
        scales = "pyramid" if many else "own"
        terms.append(({"kind": "photometric", "scales": scales}, "views synthesized from the context frames"))
    if stereo:
        terms.append(({"kind": "stereo", "scales": "pyramid", "both": False}, "the right image, at a known distance"))
    smooth = 0.01 if situation.averages else 0.001
    terms.append(({"kind": "smoothness", "weight": smooth}, "depth is smooth where the image is"))
    if stereo:
        terms.append(({"kind": "hints", "weight": 0.5}, "finds what is near and thin"))
    if context and has_distance:
        sources = _distance_sources(look.clips)
        kind, measured = "velocity", "at the measured length"
        if sources == ["poses"] and not look.is_forward:
            kind, measured = "poses", "by the measured motion: that of a camera that turns fast is learned too late"
        why = f"metres from {' and '.join(sources)}; views are synthesized {measured}"
        terms.append(({"kind": kind, "weight": 0.1, "impose": True}, why))
    known = all(map(has_metric_height, look.clips))
    if context and not has_distance and not stereo and known:
        terms.append(({"kind": "camera_height"}, "metres from the height of the camera above the road"))
    if all(any(map(has_measured_depth, clip.frames)) for clip in situation.kept):
        why = "metres from measured depth; init --without depth keeps it for evaluation"
        if not context:
            terms.append(({"kind": "sparse_l1", "weight": 0.1}, why))
        elif has_distance or situation.often_measured:
            terms.append(({"kind": "reprojected", "weight": 0.1}, why))
            if not has_distance:
                why = "the same, where the motion is too small for that term"
                terms.append(({"kind": "abs_rel", "weight": 0.1}, why))
        else:
            terms.append(({"kind": "abs_rel", "weight": 0.3}, f"{why}; few frames have it"))
    return [Choice("objective", [term for term, _ in terms], "\n".join(why for _, why in terms))]


def _training(situation: Situation) -> list[Choice]:
    budget, many = situation.budget, situation.many
    batch = 16 if situation.averages else 4
    batch = -(-batch // budget.processes) * budget.processes
    muon: dict[str, Any] = {"kind": "muon", "learning_rate": 0.04 if many else 0.03, "pose_learning_rate": 0.02}
    if situation.pretrained or not situation.usual:
        muon["weight_decay"] = BOUNDING_DECAY  # the decoder has no normalization
    elif many:
        muon["weight_decay"] = 0.2
    processes = []
    if budget.accelerator == "cpu" and budget.processes > 1:
        why = f"processes of one thread each, faster than one process of {budget.processes} threads"
        processes = [Choice("training.devices", budget.processes, why)]
    return [
        Choice(
            "training.batch_size", batch, "many places in each step" if situation.averages else "small, for more steps"
        ),
        Choice(
            "training.depth_learning_rate",
            2e-3 if many and not situation.pretrained else 1e-3,
            "of the pretrained layers, and others that Muon leaves to Adam"
            if situation.pretrained
            else "of the layers that Muon leaves to Adam",
        ),
        Choice("training.pose_learning_rate", 1e-3, "likewise"),
        Choice(
            "training.optimizer",
            muon,
            "learns faster than Adam in a short run"
            + ("; without decay of weights, depth can collapse" if situation.pretrained else ""),
        ),
        Choice("training.seed", budget.seed, "another seed gives another result: the spread says how sure a number is"),
        Choice("training.accelerator", budget.accelerator, "the device that the time was measured on"),
        *processes,
    ]
