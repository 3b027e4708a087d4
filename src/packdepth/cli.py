"""The command line: verbs to functions, nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Union

import tyro
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, Suppress, arg, subcommand

from packdepth import __version__
from packdepth.city.command import city
from packdepth.errors import InputError


def train(
    run: Positional[Path],
    overrides: Positional[tuple[str, ...]] = (),
    /,
    *,
    output: Path,
    resume: bool = False,
) -> None:
    """Train a depth and an ego-motion network on video.

    Args:
        run: the run file (YAML).
        overrides: values to change in it, such as training.epochs=5 or objective.0.weight=0.5.
        output: folder for the checkpoints best/ and last/, metrics.csv and TensorBoard's files.
        resume: go on from OUTPUT/last, exactly.
    """
    from packdepth.training.run import train

    train(run, output, overrides, resume)


def predict(
    checkpoint: Positional[Path],
    input: Positional[Path],
    /,
    *,
    output: Annotated[Path, arg(aliases=["-o"])],
    save: str = "depth,color",
    camera: Path | None = None,
) -> None:
    """Predict the depth of an image, a folder of images or a video.

    Args:
        checkpoint: a folder that training wrote, such as OUTPUT/best, or another project's (see convert).
        input: image, folder or video.
        output: folder to write to.
        save: what to write, separated by commas: depth (npz and 16-bit PNG), color, video, cloud (PLY).
        camera: camera.yaml of the input, for point clouds; if left out, the one beside it.
    """
    from packdepth.inference.run import predict

    predict(checkpoint, input, output, save, camera)


def evaluate(
    checkpoint: Positional[Path],
    /,
    *,
    protocol: str,
    data: Path,
    json: Path | None = None,
) -> None:
    """Measure a checkpoint by a named protocol.

    Args:
        checkpoint: a folder that training wrote, such as OUTPUT/best, or another project's (see convert).
        protocol: kitti-odometry-clip or kitti-raw-clip.
        data: the folder that holds the protocol's data.
        json: file to write the numbers to.
    """
    from packdepth.evaluation.run import evaluate

    print(evaluate(checkpoint, protocol, data, json).table())


def info(checkpoint: Positional[Path], /) -> None:
    """Tell what a checkpoint is.

    Args:
        checkpoint: a folder that training wrote, such as OUTPUT/best, or another project's (see convert).
    """
    from packdepth.inference.info import describe

    print(describe(checkpoint))


def convert(input: Positional[Path], output: Positional[Path], /, *, image_size: tuple[int, int] | None = None) -> None:
    """Turn another project's checkpoint into one of packdepth's. Nothing in it is executed.

    Args:
        input: a file of packnet-sfm or vidar (.ckpt, .pth.tar), or a folder of monodepth2.
        output: the folder to write.
        image_size: height and width of what the networks see, in pixels; if left out, what the file says.
    """
    from packdepth.interop.convert import convert

    convert(input, output, image_size)


def demo(output: Positional[Path] = Path("demo"), /, *, quick: bool = False, seed: int = 1) -> None:
    """Show the whole method in ten minutes: render drives, train on their video, judge, and write a report.

    Args:
        output: folder for data, checkpoints and report.html; what an earlier demo left there is used again.
        quick: less of everything, in three minutes, and worse for it.
        seed: of the city and of the training.
    """
    from packdepth.demo.steps import demo

    demo(output, quick, seed)


def data_check(source: Positional[Path], /, *, output: Annotated[Path | None, arg(aliases=["-o"])] = None) -> None:
    """Say why training on some data would fail, before an hour is spent on it.

    Args:
        source: a video, a clip's folder or a folder of them, or a data set, a drive or a sequence of KITTI.
        output: folder for check.txt, check.json, contact_sheet.jpg and masks/; if left out, only text is printed.
    """
    from packdepth.data.check import check

    report = check(source)
    if output is not None:
        report.write(output)
    print(report.text())


def group(description: str, verbs: dict[str, Callable[..., Any]]) -> Callable[..., None]:
    """A verb that has verbs of its own, such as `packdepth data check`."""

    def choose(verb: Any) -> None:
        """What was chosen has run."""

    choose.__doc__ = description
    parts = [Annotated[Any, subcommand(name=name, constructor=verb)] for name, verb in verbs.items()]
    choose.__annotations__["verb"] = Union[(*parts, Annotated[None, Suppress])]
    return choose


DATA: dict[str, Callable[..., Any]] = {"check": data_check}
VERBS: dict[str, Callable[..., Any]] = {
    "train": train,
    "predict": predict,
    "evaluate": evaluate,
    "info": info,
    "convert": convert,
    "data": group("Look at data before training on it.", DATA),
    "city": city,
    "demo": demo,
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; 0 if it went well, 2 for input that cannot be used."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments == ["--version"]:
        print(f"packdepth {__version__}")
        return 0
    try:
        tyro.extras.subcommand_cli_from_dict(
            VERBS,
            prog="packdepth",
            description="A camera's own video into a metric depth network.",
            args=arguments,
            config=(OmitSubcommandPrefixes, OmitArgPrefixes),
        )
    except InputError as error:
        print(f"packdepth: {_sentence(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"packdepth: {error.filename or 'a file'}: {error.strerror or error}; see to it and try again",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _sentence(error: InputError) -> str:
    """The message of an error; of one that a worker process passed on, its last line, which is the message."""
    return str(error).strip().splitlines()[-1].removeprefix("packdepth.errors.InputError: ")


if __name__ == "__main__":
    sys.exit(main())
