"""The command line, which maps verbs to functions and does nothing else."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args

import tyro
from tyro.conf import (
    DisallowNone,
    OmitArgPrefixes,
    OmitSubcommandPrefixes,
    Positional,
    UseAppendAction,
    arg,
    subcommand,
)

from packdepth import __version__
from packdepth.city.command import city
from packdepth.errors import InputError, check_least, in_one_line
from packdepth.inference.options import (
    APP,
    LIVE,
    PAGE,
    PICTURES,
    POINTS,
    RECORDING,
    SAVED,
    VIEW,
    AppOptions,
    LiveOptions,
    PageOptions,
    PictureOptions,
    PointOptions,
    RecordingOptions,
    ViewOptions,
)
from packdepth.interruption import (
    DIES_WITH_PARENT,
    Interrupted,
    Signals,
    die_with_parent,
    heeding_signals,
    say_interrupted,
)
from packdepth.progress import counted
from packdepth.reading import reason_of
from packdepth.run_files import DOCS
from packdepth.sharing.options import CARD, CardOptions
from packdepth.spelling import KEY_VALUE, check_spelling
from packdepth.studies.budget import Budget
from packdepth.studies.machine import Machine
from packdepth.terminal import (
    DEBUG,
    NO_READER,
    drop_output,
    flush_output,
    plain_output,
    print_cause,
    quiet_threads,
    sentence,
    worded_warnings,
)
from packdepth.verbs import end_of_help, named_output

RunPath = Annotated[Path, arg(metavar="RUN")]
CHECKPOINT = arg(metavar="CHECKPOINT"), arg(metavar="CHECKPOINT ...")  # marks arguments that may be addresses
CheckpointPath = Annotated[Path, CHECKPOINT[0]]
CheckpointPaths = Annotated[tuple[Path, ...], CHECKPOINT[1]]
DataPath = Annotated[Path, arg(metavar="DATA")]
OutputPath = Annotated[Path, arg(metavar="OUTPUT")]
KeyValues = Annotated[tuple[str, ...], arg(metavar="[KEY=VALUE ...]")]
Use = Annotated[tuple[str, ...], arg(name="use", metavar="FILE|MODULE"), UseAppendAction]
RuntimeName = Literal["onnxruntime", "openvino", "executorch"]


def _use(names: tuple[str, ...]) -> None:
    """Import the files and modules that the command line names with --use."""
    from packdepth.blocks import use

    for name in names:
        use(name)


def init(
    source: Positional[DataPath],
    options: Positional[KeyValues] = (),
    /,
    *,
    output: Annotated[Path, arg(aliases=["-o"])],
    minutes: float = 10.0,
    device: Literal["auto", "cpu", "gpu"] = "auto",
    without: tuple[Literal["depth", "stereo", "speed", "height"], ...] = (),
    kind: str | None = None,
    seed: int = 1,
    use: Use = (),
) -> None:
    """Write a run file that suits your data, with a comment beside each value.

    Args:
        source: the data to train on: a video, a folder of images, a clip, a folder of clips, or a data set.
        options: options of the data set, such as speeds=log.csv; docs/reference/sources.md lists them.
        output: the run file to write.
        minutes: how long the training may take on this machine.
        device: what will train; auto is a GPU if there is one.
        without: measurements not to train with, to keep them for evaluation.
        kind: kind of the data, such as kitti_raw; if left out, it is recognized.
        seed: seed of the training.
        use: Python file or installed module with the source; repeatable.

    Examples:
        packdepth init my_drive -o run.yaml --minutes 6
        packdepth init drive.mp4 speeds=log.csv -o run.yaml
    """
    _use(use)
    from packdepth.recommend.command import init

    path = init(source, output, minutes=minutes, device=device, without=without, kind=kind, options=options, seed=seed)
    name = source.stem if path.stem == "run" else path.stem
    print(f"{path}: look at it, then packdepth train {path} --output runs/{name}")


def train(
    run: Positional[RunPath],
    overrides: Positional[KeyValues] = (),
    /,
    *,
    output: Annotated[Path, arg(aliases=["-o"])],
    resume: bool = False,
    two_stage: bool = False,
    minutes: float = 10.0,
    use: Use = (),
) -> None:
    """Train a depth and an ego-motion network on video.

    Args:
        run: the run file (YAML), your own or one that `packdepth configs` lists; or data, for which a run file is
            written to OUTPUT/run.yaml first, as `packdepth init` does.
        overrides: values to change in the run file, such as training.epochs=5 or objective.0.weight=0.5. With data,
            those without a dot are options of the data set, such as speeds=log.csv.
        output: folder for the checkpoints best/ and last/, metrics.csv and TensorBoard's files.
        resume: continue from OUTPUT/last, exactly as if the training had not been interrupted.
        two_stage: train, drop the frames with infinite depth, train again: OUTPUT/stage1, OUTPUT/stage2.
        minutes: how long the training may take on this machine, if data is given in place of a run file.
        use: Python file or installed module whose terms, networks and sources the run file names; repeatable.

    Examples:
        packdepth train run.yaml -o runs/mine
        packdepth train run.yaml training.epochs=8 -o runs/mine --resume
        packdepth train my_drive -o runs/mine --minutes 6
    """
    _use(use)
    if two_stage:
        from packdepth.training.two_stage import train_two_stage

        train_two_stage(run, output, overrides, resume, use)
        return
    from packdepth.recommend.command import is_data, train_on_data

    if is_data(run):
        train_on_data(run, output, minutes, overrides, resume, use)
        return
    from packdepth.training.run import train

    train(run, output, resume=resume, overrides=overrides)


def predict(
    checkpoint: Positional[CheckpointPath],
    input: Positional[DataPath],
    options: Positional[KeyValues] = (),
    /,
    *,
    output: Annotated[Path, arg(aliases=["-o"])],
    save: str = SAVED,
    camera: Path | None = None,
    fov: float | None = None,
    precision: Literal["32", "bf16"] = "32",
    flip: bool = False,
    points: PointOptions = POINTS,
    pictures: PictureOptions = PICTURES,
    recording: RecordingOptions = RECORDING,
    kind: str | None = None,
    runtime: RuntimeName | None = None,
    batch: int = 1,
    shard: str | None = None,
    ray: int | None = None,
    use: Use = (),
) -> None:
    """Predict the depth of an image, a folder of images, a video, a data set or a recording of ROS.

    Args:
        checkpoint: a folder that training wrote, such as OUTPUT/best, another project's (see convert), or a file that
            export wrote.
        input: image, folder, video or data set; or a text file (.txt) with one of these in each line.
        options: options of the data set, such as cameras=[left, right]; docs/reference/sources.md lists them.
        output: folder to write to; of several clips, each gets a folder in it. OUT.mcap makes a recording of ROS: depth
            images, calibrations and clouds of each camera of the input, which must be a recording, too.
        save: what to write, separated by commas: depth (npz and 16-bit PNG), exr, tiff, png16, color, video, cloud (a
            PLY of each frame), map (one PLY of the whole clip).
        camera: calibration of the input (docs/how-to/calibration.md); if left out, the one beside it, or the data's.
        fov: in place of a camera.yaml: degrees from the left border of the images to the right one.
        precision: bf16 is faster on processors that compute it, slower on others; depth moves by less than a percent.
        flip: fuse each prediction with that of the mirrored image: better at the borders, twice the time; clouds and
            maps leave out points on which the two differ.
        points: options of point clouds and maps.
        pictures: options of color pictures and videos.
        recording: options of recordings (OUT.mcap).
        kind: kind of the input, such as kitti_raw; if left out, it is recognized.
        runtime: what computes a file that export wrote; if left out, the first that takes it and is installed.
        batch: number of images in a call of the depth network; of more than one, the next are read meanwhile.
        shard: I/N: predict every N-th input of a list, beginning with the I-th, so that N processes share it.
        ray: number of workers of Ray that share a list (extra ray), on its cluster or on this machine.
        use: Python file or installed module with the networks of the checkpoint; repeatable.

    Examples:
        packdepth predict runs/mine/best drive.mp4 -o out --save depth,video,map
        packdepth predict hf://user/name image.png -o out
    """
    _use(use)
    from packdepth.inference.ros.recording import is_recording, predict_recording
    from packdepth.inference.run import Asked, is_list, predict

    if shard is not None and not is_list(input):
        raise InputError(f"--shard {shard}: is of a list of inputs, but {input} is none; give a text file (.txt)")
    if ray is not None and not is_list(input):
        raise InputError(f"--ray {ray}: is of a list of inputs, but {input} is none; give a text file (.txt)")
    if ray is not None and shard is not None:
        raise InputError("--ray and --shard: both share the list among processes; leave one of them out")
    if is_recording(output):
        if save != SAVED:
            raise InputError(f"--save {save}: is for folders, but {output} is a recording; leave one of them out")
        if pictures != PICTURES:
            raise InputError(
                f"--colormap, --beside and --plain: are of pictures, but {output} is a recording; leave them out"
            )
        predict_recording(
            checkpoint, input, output, camera, precision, kind, options, flip, points, recording, fov, runtime, batch
        )
        return
    if recording != RECORDING:
        raise InputError(f"--depth-encoding and --cut-depth are of recordings, but {output} is none; name OUT.mcap")
    if is_list(input):
        from packdepth.inference.fleet import predict_list

        asked = Asked(save, camera, kind, options, flip, points, pictures, fov)
        if ray is not None:
            from packdepth.inference.fleet_on_ray import predict_list_on_ray

            predict_list_on_ray(checkpoint, input, output, asked, ray, precision, runtime, batch, use)
            return
        predict_list(checkpoint, input, output, asked, shard or "1/1", precision, runtime, batch)
        return
    predict(
        checkpoint, input, output, save, camera, precision, kind, options, flip, points, pictures, fov, runtime, batch
    )


def live(
    checkpoint: Positional[CheckpointPath],
    source: Positional[Annotated[str, arg(metavar="SOURCE")]],
    options: Positional[KeyValues] = (),
    /,
    *,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    camera: Path | None = None,
    fov: float | None = None,
    size: tuple[int, int] | None = None,
    live: LiveOptions = LIVE,
    page: PageOptions = PAGE,
    precision: Literal["32", "bf16"] = "32",
    flip: bool = False,
    kind: str | None = None,
    runtime: Literal["onnxruntime", "openvino", "executorch"] | None = None,
    use: Use = (),
) -> None:
    """Predict the depth of a camera or a stream as it comes, and show it on a page beside the image.

    Always the newest frame is predicted; those that come meanwhile are dropped. Ctrl-C ends.

    Args:
        checkpoint: a folder that training wrote, such as OUTPUT/best, another project's (see convert), or a file that
            export wrote.
        source: index of a camera (0), /dev/videoN, URL (rtsp://..., http://...), or a file, which is played in real
            time.
        options: options of a file, such as frames=[0, 100]; docs/reference/sources.md lists them.
        output: mp4 of each image beside its depth; if left out, no video is written.
        camera: calibration of the images (docs/how-to/calibration.md); if left out, of a file the one beside it.
        fov: in place of a camera.yaml: degrees from the left border of the images to the right one.
        size: height and width to ask a camera of this machine for, in pixels.
        live: options of live prediction.
        page: options of the page.
        precision: bf16 is faster on processors that compute it, slower on others; depth moves by less than a percent.
        flip: fuse each prediction with that of the mirrored image: better at the borders, twice the time.
        kind: kind of a file, such as rosbag; if left out, it is recognized.
        runtime: what computes a file that export wrote; if left out, the first that takes it and is installed.
        use: Python file or installed module with the networks of the checkpoint; repeatable.

    Examples:
        packdepth live runs/mine/best 0
        packdepth live model.onnx rtsp://camera:554/stream -o out/live.mp4
    """
    _use(use)
    from packdepth.inference.live import live as show
    from packdepth.inference.stream import FeedOptions

    feed = FeedOptions(camera, fov, kind, options, size)
    show(checkpoint, source, output, feed, page, live, flip, precision, runtime)


def view(
    named: Positional[Annotated[tuple[str, ...], arg(metavar="[CHECKPOINT|PREDICTIONS] SRC [KEY=VALUE ...]")]],
    /,
    *,
    save: Annotated[Path | None, arg(aliases=["-o"])] = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    points: PointOptions = POINTS,
    view: ViewOptions = VIEW,
    use: Use = (),
) -> None:
    """Look at the depth, the points and the trajectory of a clip in a browser, or write its map. Ctrl-C ends.

    Args:
        named: a checkpoint or exported file and what to predict (image, folder, video or data set); or a folder that
            predict wrote, if wanted with what it was predicted from; or a saved cloud or map (.ply, .glb); or a clip
            with measured depth alone. Options of the data set follow, such as frames=[0, 100].
        save: map.glb or map.ply to write, without any page.
        host: address that the page listens at; 0.0.0.0 for all of this machine: anybody in the network then sees it.
        port: port of the page; 0 for any free one.
        points: options of maps.
        view: options of what is shown.
        use: Python file or installed module with the networks of the checkpoint; repeatable.

    Examples:
        packdepth view runs/mine/best drive.mp4
        packdepth view my_drive
        packdepth view runs/mine/best drive.mp4 --save map.glb
        packdepth view map.glb
    """
    _use(use)
    from packdepth.viewer.command import view as show

    show(named, save, host, port, points, view)


def app(
    checkpoints: Positional[CheckpointPaths],
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    limits: AppOptions = APP,
    runtime: RuntimeName | None = None,
    use: Use = (),
) -> None:
    """Serve a page into which images and videos are dropped, and which shows their depth and distances. Ctrl-C ends.

    Args:
        checkpoints: folders that training wrote, such as OUTPUT/best, other projects' (see convert), or files that
            export wrote; the page has a list of them.
        host: address that the page listens at; 0.0.0.0 for all of this machine: anybody in the network can then use it.
        port: port of the page; 0 for any free one.
        limits: options of the uploads that are taken.
        runtime: what computes files that export wrote; if left out, the first that takes them and is installed.
        use: Python file or installed module with the networks of the checkpoints; repeatable.

    Examples:
        packdepth app runs/mine/best
        packdepth app runs/mine/best model.onnx --port 8000
    """
    _use(use)
    from packdepth.app.command import app as serve

    serve(checkpoints, host, port, limits, runtime)


@named_output
def export(
    checkpoint: Positional[CheckpointPath],
    output: Positional[OutputPath],
    /,
    *,
    format: Literal["onnx", "openvino", "executorch"] | None = None,
    size: tuple[str, ...] = (),
    batch: str = "1",
    precision: Literal["32", "16", "bf16", "int8"] = "32",
    calibrate: Path | None = None,
    images: Path | None = None,
    pose: bool = False,
    input: Literal["float", "uint8"] = "float",
    input_size: str | None = None,
    opset: int | None = None,
    use: Use = (),
) -> None:
    """Write a checkpoint as a file that other programs compute, and compare both on real images.

    Args:
        checkpoint: a folder that training wrote, such as OUTPUT/best, or another project's (see convert).
        output: the file to write: .onnx, .xml for OpenVINO or .pte for ExecuTorch; of several sizes, each gets a file
            with the size in its name.
        format: format of the file; if left out, its suffix tells.
        size: sizes at which the network computes, each as HxW, such as 192x640; if left out, that of the training.
        batch: number of images in a call, or dynamic.
        precision: 32 and 16 are floats; bf16 is for OpenVINO; int8 is quickest, and needs --calibrate.
        calibrate: images that the ranges of int8 come from: a folder, a video or a data set like those to predict.
        images: images to compare the file and the checkpoint on; if left out, those of the training.
        pose: write the ego-motion network, too, as NAME-pose.
        input: values of the images that the file takes: floats in [0, 1], or uint8 from 0 to 255.
        input_size: size HxW of the images that the file takes, and of its depth; it resizes them to --size itself.
        opset: version of ONNX's operators, 18 to 21, for programs that read no newer one.
        use: Python file or installed module with the networks of the checkpoint; repeatable.

    Examples:
        packdepth export runs/mine/best -o model.onnx
        packdepth export runs/mine/best -o model.xml --precision int8 --calibrate my_drive
    """
    _use(use)
    from packdepth.export.command import export

    written = export(
        checkpoint, output, format, size, batch, precision, calibrate, pose, images, input, input_size, opset
    )
    print("\n".join(map(str, written)))


def evaluate(
    checkpoints: Positional[CheckpointPaths],
    /,
    *,
    protocol: str,
    data: Path,
    json: Path | None = None,
    html: Path | None = None,
    processes: int = 1,
    batch: int = 1,
    runtime: RuntimeName | None = None,
    use: Use = (),
) -> None:
    """Evaluate checkpoints under a protocol, by measured depth or by video alone.

    For your own data: own judges by video without any ground truth; folder evaluates against the depth maps or LiDAR
    of clips; rgbd does so indoors. The end of this help lists all protocols.

    Args:
        checkpoints: folders that training wrote, such as OUTPUT/best, other projects' checkpoints (see convert), files
            that export wrote, or folders that predict --save depth wrote.
        protocol: name of the protocol, or a YAML file with its fields; docs/reference/protocols.md describes them.
        data: folder that holds the protocol's data; for own, a video, a folder of images, a clip or a data set. For a
            part of the data, give the folder that data import DATA PART frames=[0, 100] writes.
        json: file to write the numbers to.
        html: file for a page with tables, curves and pictures.
        processes: number of processes that share the work.
        batch: number of images in a call of the depth network; of more than one, the next are read meanwhile.
        runtime: what computes files that export wrote; if left out, the first that takes them and is installed.
        use: Python file or installed module with the networks of the checkpoints, or the protocol; repeatable.

    Examples:
        packdepth evaluate runs/mine/best --protocol own --data drive.mp4 --html own.html
        packdepth evaluate runs/a/best runs/b/best --protocol folder --data my_drive --json numbers.json
    """
    _use(use)
    from packdepth.evaluation.report import reports_text
    from packdepth.evaluation.run import evaluate

    reports = evaluate(
        checkpoints, protocol, data, json=json, html=html, processes=processes, runtime=runtime, batch=batch
    )
    print(reports_text(reports))
    if html is not None:
        print(f"open {html} in a browser")


def odometry(
    checkpoint: Positional[CheckpointPath],
    source: Positional[DataPath],
    options: Positional[KeyValues] = (),
    /,
    *,
    output: Annotated[Path, arg(aliases=["-o"])],
    align: bool = False,
    camera: Path | None = None,
    fov: float | None = None,
    kind: str | None = None,
    runtime: RuntimeName | None = None,
    use: Use = (),
) -> None:
    """Compute the trajectory of the camera from consecutive frames.

    Args:
        checkpoint: a folder that training wrote, such as OUTPUT/best, another project's (see convert), or a file that
            export wrote with --pose.
        source: video, folder of images, clip, or data set, such as a sequence of KITTI odometry (.../sequences/09).
        options: options of the data set, such as cameras=[left, right]; docs/reference/sources.md lists them.
        output: folder for the trajectory (TUM and KITTI format), its picture, and its errors where poses are measured;
            of several clips, each gets a folder in it.
        align: refine each motion so that the predicted depth explains the next frame; needs a camera.
        camera: calibration of the source (docs/how-to/calibration.md); if left out, its own, or the one beside it.
        fov: in place of a camera.yaml: degrees from the left border of the images to the right one.
        kind: kind of the source, such as kitti_raw; if left out, it is recognized.
        runtime: what computes a file that export wrote; if left out, the first that takes it and is installed.
        use: Python file or installed module with the networks of the checkpoint; repeatable.

    Examples:
        packdepth odometry runs/mine/best drive.mp4 -o out
    """
    _use(use)
    from packdepth.evaluation.odometry_command import odometry

    reports = odometry(checkpoint, source, output, align, camera, kind, options, fov, runtime)
    print("\n\n".join(report.text() for report in reports))


def info(checkpoint: Positional[CheckpointPath], /, *, use: Use = ()) -> None:
    """Describe a checkpoint: its networks, its scale, what it was trained on.

    Args:
        checkpoint: a folder that training wrote, such as OUTPUT/best, or another project's (see convert).
        use: Python file or installed module with the networks of the checkpoint; repeatable.

    Examples:
        packdepth info runs/mine/best
    """
    _use(use)
    from packdepth.inference.info import describe

    print(describe(checkpoint))


def calibrate(
    checkpoint: Positional[CheckpointPath],
    source: Positional[DataPath],
    options: Positional[KeyValues] = (),
    /,
    *,
    output: Annotated[Path, arg(aliases=["-o"])],
    by: Annotated[
        Literal["points", "lidar", "depth", "speed", "poses", "stereo", "height"] | None,
        arg(name="from", metavar="SOURCE"),
    ] = None,
    height: float | None = None,
    points: Path | None = None,
    camera: Path | None = None,
    kind: str | None = None,
    use: Use = (),
) -> None:
    """Make depth metric by one factor that known lengths give, and write the checkpoint with it.

    Args:
        checkpoint: a folder that training or convert wrote, such as OUTPUT/best.
        source: the frames that know lengths: video, folder of images, clip, or data set.
        options: options of the data set, such as cameras=[left, right]; docs/reference/sources.md lists them.
        output: the folder of the new checkpoint.
        by: lengths to calibrate by: points, lidar, depth, speed, poses, stereo or height. If left out, the first of
            these that SOURCE offers; the others are measured, too, and must agree.
        height: metres of the camera above the road; if left out, height_m of camera.yaml.
        points: CSV of tape-measured points, with the columns frame, u, v (pixels) and metres (from the lens).
        camera: camera.yaml of the source; if left out, the one that it has or that lies beside it.
        kind: kind of the source, such as kitti_raw; if left out, it is recognized.
        use: Python file or installed module with the networks of the checkpoint; repeatable.

    Examples:
        packdepth calibrate runs/mine/best my_drive -o runs/metric --from speed
    """
    _use(use)
    from packdepth.scale.calibrate import calibrate

    print(calibrate(checkpoint, source, output, by, height, points, camera, kind, options).text())


@named_output
def convert(
    input: Positional[CheckpointPath], output: Positional[OutputPath], /, *, image_size: tuple[int, int] | None = None
) -> None:
    """Turn another project's checkpoint into one of packdepth's. Nothing in it is executed.

    Args:
        input: a file of packnet-sfm or vidar (.ckpt, .pth.tar), or a folder of monodepth2 or of a depth network of
            transformers (config.json, preprocessor_config.json, model.safetensors).
        output: the folder to write.
        image_size: height and width of the networks' input, in pixels; if left out, the size that the file names.

    Examples:
        packdepth convert model.ckpt -o runs/theirs
    """
    from packdepth.inference.info import describe
    from packdepth.interop.convert import convert

    convert(input, output, image_size)
    print(describe(output))


@named_output
def data_import(
    source: Positional[DataPath],
    output: Positional[OutputPath],
    options: Positional[KeyValues] = (),
    /,
    *,
    kind: str | None = None,
    size: tuple[int, int] | None = None,
    format: Literal["jpg", "png"] = "jpg",
    use: Use = (),
) -> None:
    """Write any data set as clip folders of packdepth's own contract. An interrupted import continues.

    Args:
        source: the data set: a folder or a file.
        output: folder to write to.
        options: options of the data set, such as cameras=[left, right]; docs/reference/sources.md lists them.
        kind: kind of the data set, such as kitti_raw; if left out, it is recognized.
        size: height and width of the images, in pixels; intrinsics follow. Their own if left out.
        format: format of the images; those that have it already and are not resized are copied.
        use: Python file or installed module with the source; repeatable.

    Examples:
        packdepth data import drive.mp4 speeds=log.csv offset=auto -o mine
    """
    _use(use)
    from packdepth.inspection.import_data import import_data

    folders = import_data(source, output, kind, options, size, format)
    print(f"{counted(len(folders), 'clip')} in {output}; in a run file: {{kind: folder, root: {output}}}")


@named_output
def data_splits(
    source: Positional[DataPath],
    output: Positional[OutputPath],
    options: Positional[KeyValues] = (),
    /,
    *,
    kind: str | None = None,
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    use: Use = (),
) -> None:
    """Divide drives among train.txt, val.txt and test.txt, split files with a hash.

    Args:
        source: the data set: a folder or a file.
        output: folder to write to.
        options: options of the data set, such as cameras=[left, right]; docs/reference/sources.md lists them.
        kind: kind of the data set, such as kitti_raw; if left out, it is recognized.
        shares: shares of the drives for train, val and test.
        seed: seed of the random choice of drives.
        use: Python file or installed module with the source; repeatable.

    Examples:
        packdepth data splits KITTI_raw -o splits --shares 0.8 0.1 0.1
    """
    _use(use)
    from packdepth.inspection.splits import make_splits

    for path, value in make_splits(source, output, kind, options, shares, seed).items():
        print(f"{path}  sha256 {value}")


@named_output
def data_filter(
    source: Positional[DataPath],
    output: Positional[OutputPath],
    options: Positional[KeyValues] = (),
    /,
    *,
    ground: CheckpointPath,
    kind: str | None = None,
    threshold: int = 10,
    context: tuple[int, ...] = (-1, 1),
    use: Use = (),
) -> None:
    """Drop frames in which something is predicted far below the ground: cars at the camera's own speed.

    Args:
        source: the data set: a folder or a file.
        output: folder for kept.txt (a split file to train on), counts.csv and dropped.jpg.
        options: options of the data set, such as cameras=[left, right]; docs/reference/sources.md lists them.
        ground: the checkpoint that predicts, such as OUTPUT/best; its scale does not matter.
        kind: kind of the data set, such as kitti_raw; if left out, it is recognized.
        threshold: number of pixels that may lie below the ground, at the size of the network's input.
        context: data.context of the run that will train on the kept frames; frames without these are not evaluated.
        use: Python file or installed module with the source, or the networks of the checkpoint; repeatable.

    Examples:
        packdepth data filter my_drive -o kept --ground runs/mine/best
    """
    _use(use)
    from packdepth.inference.ground import KEPT, filter_ground
    from packdepth.sources.recognize import source_at

    kept, dropped = filter_ground(ground, source_at(source, kind, options).clips(), output, threshold, context)
    frames = f"{len(dropped)} of {len(kept) + len(dropped)} frames dropped"
    print(f"{frames}; in a run file, add to the source: split_file: {output / KEPT}")


def semantics_train(
    run: Positional[RunPath],
    overrides: Positional[KeyValues] = (),
    /,
    *,
    output: Annotated[Path, arg(aliases=["-o"])],
    resume: bool = False,
    use: Use = (),
) -> None:
    """Train a segmentation network on images with classes.

    Args:
        run: the run file (YAML), such as configs/semantics/camvid.yaml.
        overrides: values to change in it, such as training.steps=2000.
        output: folder for the checkpoint.
        resume: continue the training in the output folder, exactly as if it had not been interrupted.
        use: Python file or installed module with the sources that the run file names; repeatable.

    Examples:
        packdepth semantics train configs/semantics/camvid.yaml -o runs/semantics
    """
    _use(use)
    from packdepth.segmentation.training import train_semantics

    train_semantics(run, output, overrides, resume)


def semantics_label(source: Positional[DataPath], /, *, network: str) -> None:
    """Predict label maps with a segmentation network and write them into clip folders, as semantic/.

    Args:
        source: a clip's folder, or a folder of them (see data import).
        network: a checkpoint of semantics train, or a model of transformers by its name or folder.

    Examples:
        packdepth semantics label my_drive --network runs/semantics
    """
    from packdepth.segmentation.label import label_clips

    label_clips(source, network)


def configs() -> None:
    """List the run files that are part of packdepth. `configs/NAME.yaml` names one from any folder.

    Examples:
        packdepth configs
    """
    from packdepth.run_files import describe_run_files

    print(describe_run_files())


def push(
    checkpoint: Positional[CheckpointPath],
    target: Positional[Annotated[str, arg(metavar="TARGET")]],
    /,
    *,
    card: CardOptions = CARD,
    private: bool = False,
) -> None:
    """Share a checkpoint with a model card: on Hugging Face's Hub, in a folder, or in a zip file for a website.

    Args:
        checkpoint: a folder that training wrote, such as OUTPUT/best.
        target: hf://user/name, file:///absolute/folder or file:///absolute/name.zip.
        card: options of the model card.
        private: make a new repository of the Hub private.

    Examples:
        packdepth push runs/mine/best hf://user/name --data-license "my own video, CC BY 4.0"
        packdepth push runs/mine/best file:///tmp/name.zip --numbers numbers.json
    """
    from packdepth.sharing.push import push

    print("\n".join(push(checkpoint, target, card, private)))


def doctor(*, json: bool = False) -> None:
    """Print versions, devices, extras, cores, memory and disk, and what limits speed on this machine.

    Args:
        json: print the same as JSON.

    Examples:
        packdepth doctor
        packdepth doctor --json
    """
    from packdepth.doctor import facts

    found = facts()
    print(found.json() if json else found.text())


def completion(shell: Positional[Literal["bash", "zsh", "fish"]], /) -> None:
    """Print a script that makes a shell complete commands, options and their values by the Tab key.

    For bash, put the script into ~/.local/share/bash-completion/completions/packdepth; for zsh into a file _packdepth
    in a folder of $fpath; for fish into ~/.config/fish/completions/packdepth.fish. Then open a new shell. The script
    does not start packdepth, so that Tab answers at once; print it again after an update.

    Args:
        shell: the shell.

    Examples:
        packdepth completion bash
        packdepth completion zsh
    """
    _parse(["--tyro-print-completion", shell])


@named_output
def demo(
    output: Positional[OutputPath] = Path("demo"),
    /,
    *,
    quick: bool = False,
    seed: int = 1,
    compare: bool = False,
    download: bool = False,
) -> None:
    """Show the whole method in ten minutes: render drives, train on their video, evaluate, and write a report.

    Args:
        output: folder for data, checkpoints and report.html, demo/ if left out; what an earlier demo left there is
            used again.
        quick: less data and training, in three minutes, with worse results.
        seed: seed of the city and of the training.
        compare: train PackNet from random weights, too, in five minutes more, and put it beside the network that
            starts from ImageNet.
        download: train nothing, but fetch the checkpoint of the release that the demo has trained.

    Examples:
        packdepth demo
        packdepth demo -o demo --quick
    """
    from packdepth.demo import steps

    if download:
        checkpoint = steps.download()
        print(f"{checkpoint}: packdepth info {checkpoint}, then packdepth predict {checkpoint} IMAGE -o out")
    else:
        steps.demo(output, quick, seed, compare)


def data_check(
    source: Positional[DataPath],
    options: Positional[KeyValues] = (),
    /,
    *,
    kind: str | None = None,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    html: Path | None = None,
    use: Use = (),
) -> None:
    """Report why training on some data would fail, before an hour is spent on it.

    Args:
        source: an image, a folder of images, a video, a clip's folder or a folder of them, or a data set; of KITTI
            also a date, a drive or a sequence.
        options: options of the data set, such as cameras=[left, right]; docs/reference/sources.md lists them.
        kind: kind of the data set, such as kitti_raw; if left out, it is recognized.
        output: folder for check.txt, check.json, contact_sheet.jpg and masks/; if left out, only text is printed.
        html: file for a page with pictures, curves and maps of the clips.
        use: Python file or installed module with the source; repeatable.

    Examples:
        packdepth data check drive.mp4
        packdepth data check drive.mp4 speeds=log.csv -o out/check
    """
    _use(use)
    from packdepth.inspection.check import check

    checked = check(source, kind, options)
    if output is not None:
        checked.write(output)
    if html is not None:
        from packdepth.inspection.page import write_page

        write_page(html, checked)
    print(checked.text())
    if output is not None:
        print(f"pictures: {output / 'contact_sheet.jpg'}; the findings: {output / 'check.txt'}, check.json")
    if html is not None:
        print(f"open {html} in a browser")


@named_output
def study_lidar_beams(output: Positional[OutputPath], /, *, budget: Budget, processes: int = 2) -> None:
    """Compare trainings with 64 to 1 beams of LiDAR, with speed and with neither, on rendered drives.

    Args:
        output: folder for drives, runs, and lidar_beams.json, .csv, .md and .html; an interrupted study is resumed.
        budget: budget of every training.
        processes: number of trainings at a time, of one thread each.

    Examples:
        packdepth study lidar-beams -o out/beams --drives 4 --steps 60 --seeds 1
    """
    check_least("processes", processes, 1)
    from packdepth.studies.lidar_beams import lidar_beams

    print(f"open {lidar_beams(output, budget, processes)} in a browser")


@named_output
def study_superdepth(output: Positional[OutputPath], /, *, budget: Budget, processes: int = 2) -> None:
    """Compare stereo trainings with and without the sub-pixel decoder and the flip layer, on rendered drives.

    Args:
        output: folder for drives, runs, and superdepth.json, .csv, .md and .html; an interrupted study is resumed.
        budget: budget of every training.
        processes: number of trainings at a time, of one thread each.

    Examples:
        packdepth study superdepth -o out/superdepth
    """
    check_least("processes", processes, 1)
    from packdepth.studies.superdepth import superdepth

    print(f"open {superdepth(output, budget, processes)} in a browser")


@named_output
def study_guidance(output: Positional[OutputPath], /, *, budget: Budget, processes: int = 2) -> None:
    """Compare PackNet without guidance, guided by a segmentation network, and by true label maps, on rendered drives.

    Args:
        output: folder for drives, runs, and guidance.json, .csv, .md and .html; an interrupted study is resumed.
        budget: budget of every training.
        processes: number of trainings at a time, of one thread each.

    Examples:
        packdepth study guidance -o out/guidance
    """
    check_least("processes", processes, 1)
    from packdepth.studies.guidance import guidance

    print(f"open {guidance(output, budget, processes)} in a browser")


@named_output
def study_ego_motion(
    output: Positional[OutputPath], /, *, depth_steps: int = 400, steps: int = 250, seeds: int = 3, processes: int = 2
) -> None:
    """Compare ego-motion networks on rendered drives that they were not trained on.

    Args:
        output: folder for drives, networks, and ego_motion.json, .csv, .md and .html; an interrupted study is resumed.
        depth_steps: training steps of the depth network that all of them share.
        steps: training steps of each ego-motion network.
        seeds: trainings of each ego-motion network.
        processes: number of trainings at a time, of one thread each.

    Examples:
        packdepth study ego-motion -o out/ego-motion --seeds 1
    """
    check_least("processes", processes, 1)
    from packdepth.studies.ego_motion import city_study

    print(f"open {city_study(output, depth_steps, steps, seeds, processes)} in a browser")


@named_output
def study_ego_motion_clip(
    output: Positional[OutputPath],
    /,
    *,
    data: Path,
    depth_steps: int = 400,
    steps: int = 250,
    seeds: int = 3,
    processes: int = 2,
) -> None:
    """Compare ego-motion networks on the last frames of KITTI odometry's sequence 06, trained on the first.

    Args:
        output: folder for networks, and ego_motion.json, .csv, .md and .html; an interrupted study is resumed.
        data: the folder that holds kitti_odometry.
        depth_steps: training steps of the depth network that all of them share.
        steps: training steps of each ego-motion network.
        seeds: trainings of each ego-motion network.
        processes: number of trainings at a time, of one thread each.

    Examples:
        packdepth study ego-motion-clip -o out/ego-motion --data data
    """
    check_least("processes", processes, 1)
    from packdepth.studies.ego_motion import clip_study

    print(f"open {clip_study(output, data, depth_steps, steps, seeds, processes)} in a browser")


@named_output
def study_reconstruction(
    output: Positional[OutputPath],
    /,
    *,
    data: Path | None = None,
    images: tuple[Path, Path] | None = None,
    channels: int = 4,
    steps: int = 5000,
    device: str = "cpu",
    seeds: int = 3,
    processes: int = 2,
    quick: bool = False,
) -> None:
    """Compare packing with pooling by how well an image can be reproduced after it.

    Args:
        output: folder for images, and reconstruction.json, .csv, .md and .html; an interrupted study is resumed.
        data: folder that holds camvid/ and clips/; if left out, only images of the city are reproduced.
        images: training images and other images to judge by, instead: anything that packdepth opens.
        channels: channels of the image at half the resolution.
        steps: steps of each training, of 8 crops of 64x64 pixels each.
        device: device of the trainings, such as cpu or cuda.
        seeds: number of trainings of each variant.
        processes: number of trainings at a time, of one thread each.
        quick: smoke test: two steps, one seed.

    Examples:
        packdepth study reconstruction -o out/reconstruction --quick
    """
    from packdepth.studies.reconstruction import Plan, reconstruction

    steps, seeds = (min(steps, 2), 1) if quick else (steps, seeds)
    plan = Plan(data, images, channels, steps, device, seeds, processes)
    print(f"open {reconstruction(output, plan)} in a browser")


@named_output
def study_packing(
    output: Positional[OutputPath], /, *, budget: Budget, machine: Machine, width: int = 16, blocks: int = 1
) -> None:
    """Compare PackNet with strided convolutions, upsampling, and 3D convolutions of 0 to 8 features in its blocks.

    Args:
        output: folder for drives, runs, and packing.json, .csv, .md and .html; an interrupted study is resumed.
        budget: budget of every training.
        machine: machine and data.
        width: channels of the first level, a multiple of 4; PackNet 1A has 64.
        blocks: residual convolutions of each level; PackNet 1A has 2 and 3.

    Examples:
        packdepth study packing -o out/packing --seeds 1
    """
    from packdepth.studies.packing import packing

    print(f"open {packing(output, budget, machine, width, blocks)} in a browser")


@named_output
def study_scaling(
    output: Positional[OutputPath],
    /,
    *,
    budget: Budget,
    machine: Machine,
    widths: tuple[int, ...] = (8, 16, 24, 32),
    layers: tuple[Literal[18, 34, 50], ...] = (18, 34, 50),
    factors: tuple[float, ...] = (1.0, 1.4, 2.0),
    features: Literal[0, 1, 2, 4, 8] = 2,
    blocks: int = 1,
) -> None:
    """Compare PackNets of several widths with ResNets, at several resolutions, from random weights.

    Args:
        output: folder for drives, runs, and scaling.json, .csv, .md and .html; an interrupted study is resumed.
        budget: budget of every training; the size is that of the smallest images.
        machine: machine and data.
        widths: channels of the first level of each PackNet, multiples of 4; 1A has 64.
        layers: layers of each ResNet.
        factors: resolutions, as multiples of the size.
        features: features of PackNet's 3D convolutions; 1A has 8.
        blocks: residual convolutions of each level of PackNet; 1A has 2 and 3.

    Examples:
        packdepth study scaling -o out/scaling --widths 8 16 --layers 18 --factors 1.0 2.0
    """
    from packdepth.studies.scaling import Plan, scaling

    plan = Plan(
        **vars(budget),
        widths=widths,
        layers=layers,
        factors=factors,
        features=features,
        blocks=blocks,
        machine=machine,
    )
    print(f"open {scaling(output, plan)} in a browser")


@named_output
def study_supervision(
    output: Positional[OutputPath],
    /,
    *,
    budget: Budget,
    machine: Machine,
    parts: tuple[Literal["signals", "transfer", "frames"], ...] = ("signals", "transfer", "frames"),
) -> None:
    """Compare what depth is learned from, what training starts from, and how many frames of one's own are enough.

    Args:
        output: folder for drives, runs, and a folder with the results of each part; an interrupted study is resumed.
        budget: budget of every training.
        machine: machine and data.
        parts: signals: video, speed, height, LiDAR, stereo and measured depth. transfer: random weights, ImageNet and
            the city as starts for real clips. frames: the same with 10 to 200 frames.

    Examples:
        packdepth study supervision -o out/supervision --parts signals
    """
    from packdepth.studies.supervision import supervision

    print(f"open {', '.join(map(str, supervision(output, budget, machine, parts)))} in a browser")


def study_contents(folder: Positional[Path], /) -> None:
    """Write index.html, the table of contents of all studies in a folder.

    Args:
        folder: folder that holds the results of studies, each in a folder of its own or side by side.

    Examples:
        packdepth study contents out
    """
    from packdepth.studies.engine import contents

    print(f"open {contents(folder)} in a browser")


VERBS: dict[str, Callable[..., None]] = {
    "init": init,
    "train": train,
    "predict": predict,
    "live": live,
    "view": view,
    "app": app,
    "export": export,
    "evaluate": evaluate,
    "odometry": odometry,
    "info": info,
    "calibrate": calibrate,
    "convert": convert,
    "push": push,
    "configs": configs,
    "city": named_output(city),
    "demo": demo,
    "doctor": doctor,
    "completion": completion,
}
DATA: dict[str, Callable[..., None]] = {
    "check": data_check,
    "filter": data_filter,
    "import": data_import,
    "splits": data_splits,
}
SEMANTICS: dict[str, Callable[..., None]] = {"train": semantics_train, "label": semantics_label}
STUDIES: dict[str, Callable[..., None]] = {
    "contents": study_contents,
    "ego-motion": study_ego_motion,
    "ego-motion-clip": study_ego_motion_clip,
    "guidance": study_guidance,
    "lidar-beams": study_lidar_beams,
    "packing": study_packing,
    "reconstruction": study_reconstruction,
    "scaling": study_scaling,
    "superdepth": study_superdepth,
    "supervision": study_supervision,
}
ALL: dict[str, Any] = VERBS | {"data": DATA, "semantics": SEMANTICS, "study": STUDIES}


def _one_of(verbs: dict[str, Callable[..., None]]) -> Any:
    """Return a type that tyro reads as a choice between verbs."""
    choices = [Annotated[Any, subcommand(name=name, constructor=_plain(verb))] for name, verb in verbs.items()]
    return Union[tuple(choices)]  # noqa: UP007 - the number of choices is not fixed


def _plain(verb: Callable[..., None]) -> Callable[..., None]:
    """Return a verb that prints no control characters of others, and takes addresses of checkpoints for paths."""

    @functools.wraps(verb)
    def run(*arguments: Any, **options: Any) -> None:
        with plain_output(), worded_warnings():
            from packdepth.sharing.address import located

            signature = inspect.signature(verb, eval_str=True)
            given = signature.bind(*arguments, **options)
            for name, value in given.arguments.items():
                if any(mark in get_args(signature.parameters[name].annotation)[1:] for mark in CHECKPOINT):
                    given.arguments[name] = tuple(map(located, value)) if isinstance(value, tuple) else located(value)
            verb(*given.args, **given.kwargs)

    return run


def _group(name: str, description: str, verbs: dict[str, Callable[..., None]]) -> Any:
    """Return a type that tyro reads as a group of verbs: `packdepth NAME VERB`."""
    return Annotated[_one_of(verbs), subcommand(name=name, description=description)]


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit status.

    0 is success, 2 input that cannot be used, 70 a fault of packdepth, 71 a machine without memory or a process that
    was killed, 128 + the number of a signal a command that it interrupted, and 141 a command whose reader, such as
    `head`, has enough. `--debug`, anywhere in the line, prints the traceback behind an error.

    Args:
        argv: the arguments; None for those of the process.

    >>> main(["--version"])  # doctest: +ELLIPSIS
    packdepth ...
    0
    """
    arguments = sys.argv[1:] if argv is None else argv
    if DIES_WITH_PARENT in os.environ:
        die_with_parent()
    if "--debug" in arguments:
        arguments = [argument for argument in arguments if argument != "--debug"]
        os.environ[DEBUG] = "1"  # the processes that a verb starts have it, too
    with heeding_signals() as signals, quiet_threads() as errors:
        interruption = None
        try:
            status = _run(arguments, signals)
        except Interrupted as error:  # of this process, or of one that it has started and waited for
            interruption = error
        except BaseException:
            if signals.received is None:  # an error of what is being interrupted is no error
                raise
    if signals.received is not None:
        interruption = Interrupted(signals.received)
    if interruption is None:
        if errors and status == 0:
            reason = in_one_line(reason_of(errors[0]))
            print(
                f"packdepth: warning: see whether its output is complete: a thread failed ({reason})", file=sys.stderr
            )
        return status
    say_interrupted(arguments)
    return interruption.status


def _run(arguments: list[str], signals: Signals) -> int:
    """Run the command line and return the exit status, as `main` does, but for interruptions by signals."""
    try:
        try:
            return _answer(arguments, signals)
        finally:
            flush_output()
    except OSError as error:
        if drop_output() and isinstance(error, BrokenPipeError):  # the reader of the output, such as `head`, has enough
            return NO_READER
        error.filename = error.filename or "standard output"  # whose disk may be full
        return _say(error, arguments)


def _answer(arguments: list[str], signals: Signals) -> int:
    """Run the command line and return the exit status. Raises BrokenPipeError if nobody reads the output any more."""
    if arguments == ["--version"]:
        print(f"packdepth {__version__}")
        return 0
    try:
        check_spelling(arguments, ALL)
        _parse(arguments)
    except (BrokenPipeError, Interrupted):
        raise
    except KeyboardInterrupt:
        return 130
    except SystemExit as error:
        if error.code == 2 and _scattered(arguments):
            print("packdepth: write all KEY=VALUE side by side, with no option between them", file=sys.stderr)
        if not error.code:
            _print_end_of_help(arguments)
        raise
    except BaseException as error:  # libraries in Rust raise what is no Exception
        if signals.received is not None:
            raise
        return _say(error, arguments)
    return 0


def _say(error: BaseException, arguments: list[str]) -> int:
    """Print the sentence of an error, and return the exit status."""
    print_cause(error)
    text, status = sentence(error, arguments)
    print(text, file=sys.stderr)
    return status


def _parse(arguments: list[str]) -> None:
    """Parse the command line and call the verb. Raises SystemExit after help and after arguments that do not fit."""
    tyro.cli(
        _one_of(VERBS)
        | _group("data", "Make data sets ready.", DATA)
        | _group("semantics", "Train and use segmentation networks.", SEMANTICS)
        | _group("study", "Repeat experiments.", STUDIES),
        prog="packdepth",
        description=f"A camera's own video into a metric depth network. Pages named docs/... lie in {DOCS.parent}. "
        "packdepth VERB --help shows arguments and examples. With --debug, an error shows its traceback.",
        args=arguments,
        config=(OmitSubcommandPrefixes, OmitArgPrefixes, DisallowNone),  # nobody writes None for an option left out
    )


def _print_end_of_help(arguments: list[str]) -> None:
    """Print what the help of a verb ends with: lists of what it takes by name, and examples."""
    text = end_of_help(arguments, ALL)
    if text and arguments[0] == "evaluate":
        from packdepth.evaluation.protocols import protocols_in_words

        print(f"\nprotocols:\n{protocols_in_words()}")
    if text:
        print(text)


def _scattered(arguments: list[str]) -> bool:
    """Return whether there are options between KEY=VALUE arguments, of which tyro then reads only the first ones."""
    places = [place for place, argument in enumerate(arguments) if KEY_VALUE.match(argument)]
    return bool(places) and places[-1] - places[0] >= len(places)


if __name__ == "__main__":
    sys.exit(main())
