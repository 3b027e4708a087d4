"""Judgement of checkpoints on video without ground truth: the protocol `own` of `packdepth.evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from packdepth.data.label_maps import check_guiding_classes
from packdepth.errors import InputError
from packdepth.evaluation.own.held_out import held_out, with_training_frames
from packdepth.evaluation.own.page import PairPicture, write_own_page
from packdepth.evaluation.own.pairs import depth_by_position, lack_of_pairs, measure_pairs, pairs_of
from packdepth.evaluation.own.report import OwnReport
from packdepth.files import write_json
from packdepth.inference.cameras import known_camera, scale_on
from packdepth.inference.predictor import Predictor
from packdepth.inference.trajectory import frame_step
from packdepth.progress import progress
from packdepth.records import Clip


def judge(
    predictor: Predictor, clips: Sequence[Clip], name: str, data: str, pictured: bool
) -> tuple[OwnReport, list[PairPicture]]:
    """Judge a checkpoint by clips without ground truth, and return the report and pictures for the page.

    Args:
        predictor: the networks.
        clips: the clips.
        name: the name of the checkpoint in the report.
        data: the path of the clips in the report.
        pictured: whether there will be a page. Without one, no pictures are made.

    Raises InputError if no two frames follow each other between which the camera moves.
    """
    for clip in clips:
        check_guiding_classes(clip, predictor.meta.label_classes)
    chosen = held_out(clips, predictor.run, predictor.meta)
    step = partial(frame_step, predictor)
    pairs = pairs_of(chosen.clips, step)
    if not pairs and not chosen.seen:  # such as those of a camera that stands, beside cameras that move
        chosen = with_training_frames(clips, chosen, lack_of_pairs(chosen.clips, step))
        pairs = pairs_of(chosen.clips, step)
    if not pairs:
        raise InputError(
            f"{data}: holds {lack_of_pairs(clips, step)}; --protocol own judges depth by the motion between frames, "
            f"so give a video or more frames of one"
        )
    by_position = depth_by_position(predictor, [pair.frame for pair in pairs])
    measures = [values for values, _ in progress(measure_pairs(predictor, pairs, by_position), "own", len(pairs))]
    metric, scale = scale_on(chosen.clips, predictor.meta)
    report = OwnReport(
        data=data,
        checkpoint=name,
        metric=metric,
        scale_source=predictor.meta.scale_source,
        scale=scale,
        seen=chosen.seen,
        frames=chosen.words,
        pairs=measures,
        unmeasured=unmeasured(predictor, chosen.clips),
    )
    shown = report.examples() if pictured else {}
    found = measure_pairs(predictor, [pairs[place] for place in shown], by_position)  # again: all maps would be many
    pictures = [
        PairPicture(values, maps, known_camera(pairs[place].clip, predictor.meta), title)
        for (place, title), (values, maps) in zip(shown.items(), found, strict=True)
    ]
    return report, pictures


def unmeasured(predictor: Predictor, clips: Sequence[Clip]) -> list[str]:
    """Return what cannot be measured on clips, and why, one sentence each.

    Args:
        predictor: the networks.
        clips: the clips.
    """
    found = []
    for clip in clips:
        if known_camera(clip, predictor.meta) is None:
            found.append(
                f"{clip.name}: its camera is neither given ({clip.missing_camera}) nor learned, so that photometric "
                "errors, the agreement of neighboring frames, parallax and the ground are not measured; write it"
            )
    if all(frame.speed is None and frame.pose is None for clip in clips for frame in clip.frames):
        found.append("neither speeds nor poses are known, so that the length of motion is not checked")
    if predictor.pose is None:
        found.append("the checkpoint has no ego-motion network; motions begin with the standing camera and are refined")
    return found


def write_own(
    reports: Sequence[OwnReport], pictures: Sequence[Sequence[PairPicture]], json: Path | None, html: Path | None
) -> None:
    """Write reports as JSON and as a page. Each file is written completely or not at all.

    Args:
        reports: the reports. A single one is written without the enclosing `{"reports": [...]}`.
        pictures: the pictures of each report.
        json: the file for the numbers; None for none.
        html: the file for the page; None for none.
    """
    if json is not None:
        one = len(reports) == 1
        content = [report.to_json() for report in reports]
        write_json(json, content[0] if one else {"protocol": content[0]["protocol"], "reports": content})
    if html is not None:
        write_own_page(html, reports, pictures)
