"""`packdepth predict`: images, folders, clips and videos in, files out."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import ply
import pytest
import world
import yaml
from PIL import Image
from present import present

from packdepth.checkpoint import TrainedCamera
from packdepth.cli import main
from packdepth.color import color_range, colorize
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.inference import run
from packdepth.inference.cameras import ASSUMED
from packdepth.inference.options import PictureOptions, PointOptions
from packdepth.inference.pictures import with_bar
from packdepth.inference.predictor import Predictor, image_tensor, load
from packdepth.inference.run import frames_per_second, predict
from packdepth.inference.writers.depth import DepthWriter
from packdepth.inference.writers.video import video_writer
from packdepth.records import Clip, Prediction
from packdepth.sources.files import DepthPng, ImageFile
from packdepth.sources.open import open_clips
from packdepth.viewer.command import open_footage

ALL = "depth,color,video,cloud"
EVERYTHING = f"{ALL},exr,tiff,png16,map"
NAMES = [f"{index:06d}" for index in range(world.FRAMES)]
HEIGHT, WIDTH = world.CAMERA.height, world.CAMERA.width


def files(folder: Path) -> list[str]:
    """All files below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def decoded(path: Path) -> list[np.ndarray]:
    """The frames [H, W, 3] of a video."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def camera_file(path: Path, height: int = HEIGHT, width: int = WIDTH) -> Path:
    path.write_text(yaml.safe_dump({"width": width, "height": height, "fx": 60.0, "fy": 58.0, "cx": 46.0, "cy": 22.5}))
    return path


@pytest.fixture
def folder(tmp_path: Path, moving_clip: Path) -> Path:
    """A folder of images without a camera."""
    return shutil.copytree(moving_clip / "frames", tmp_path / "images")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A video of the world, at 12 frames a second."""
    with video_writer(tmp_path / "drive.mp4", 12.0) as append:
        for index in range(world.FRAMES):
            append((world.render(index)[0] * 255).astype(np.uint8))
    return tmp_path / "drive.mp4"


# --- what is written --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def predicted(checkpoint_folder: Path, moving_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that can be predicted of a clip."""
    output = tmp_path_factory.mktemp("predicted") / "new" / "folder"
    predict(checkpoint_folder, moving_clip, output, ALL, points=PointOptions(all_points=True))
    return output


def test_a_clip_gives_all_files(predicted: Path) -> None:
    expected = [f"{kind}/{name}.{suffix}" for kind, suffix in (("cloud", "ply"), ("color", "png")) for name in NAMES]
    expected += [f"depth/{name}.{suffix}" for name in NAMES for suffix in ("npz", "png")]
    assert files(predicted) == sorted([*expected, "moving_clip.mp4"])


def test_depth_files_hold_the_prediction(predicted: Path, predictor: Predictor, moving_clip: Path) -> None:
    for name in NAMES:
        expected = predictor.predict(moving_clip / "frames" / f"{name}.png")
        with np.load(predicted / "depth" / f"{name}.npz", allow_pickle=False) as content:
            np.testing.assert_array_equal(content["depth"], expected.depth)
            np.testing.assert_allclose(content["intrinsics"], world.CAMERA.matrix())
            assert str(content["scale_source"]) == "velocity (speed)"
        png = DepthPng(predicted / "depth" / f"{name}.png").read()
        np.testing.assert_allclose(png, expected.depth.clip(0, 65535 / 256), atol=0.5 / 256 + 1e-6)


def test_the_command_line_predicts_in_bfloat16(checkpoint_folder: Path, moving_clip: Path, tmp_path: Path) -> None:
    image = moving_clip / "frames" / f"{NAMES[0]}.png"
    words = ["predict", str(checkpoint_folder), str(image), "-o", str(tmp_path), "--save", "depth"]
    assert main([*words, "--precision", "bf16"]) == 0
    expected = load(checkpoint_folder, precision="bf16").predict(image).depth
    np.testing.assert_array_equal(np.load(tmp_path / "depth" / f"{NAMES[0]}.npz")["depth"], expected)


def test_colors_mean_the_same_in_each_frame(predicted: Path, predictor: Predictor, moving_clip: Path) -> None:
    images = [moving_clip / "frames" / f"{name}.png" for name in NAMES]
    limits = color_range([predictor.inv_depth(image_tensor(image)).numpy() for image in images])
    for name, image in zip(NAMES, images, strict=True):
        colors = np.asarray(Image.open(predicted / "color" / f"{name}.png"))
        np.testing.assert_array_equal(colors[:, :WIDTH], colorize(predictor.predict(image).inv_depth, *limits))
        np.testing.assert_array_equal(colors, with_bar(colors[:, :WIDTH], *limits, "dusk", metric=True))


def test_clouds_reproject_to_their_pixels(predicted: Path) -> None:
    vertices = ply.read(predicted / "cloud" / f"{NAMES[2]}.ply")
    depth = np.load(predicted / "depth" / f"{NAMES[2]}.npz")["depth"]
    np.testing.assert_array_equal(vertices["z"].reshape(HEIGHT, WIDTH), depth)
    u = world.CAMERA.fx * vertices["x"] / vertices["z"] + world.CAMERA.cx
    np.testing.assert_allclose(u.reshape(HEIGHT, WIDTH), np.tile(np.arange(WIDTH), (HEIGHT, 1)), atol=1e-3)


def test_the_video_plays_the_clip_over_its_depth(predicted: Path, moving_clip: Path) -> None:
    pictures = decoded(predicted / "moving_clip.mp4")
    assert len(pictures) == world.FRAMES
    for name, picture in zip(NAMES, pictures, strict=True):
        image = np.asarray(Image.open(moving_clip / "frames" / f"{name}.png")).astype(float)
        colors = np.asarray(Image.open(predicted / "color" / f"{name}.png")).astype(float)
        assert picture.shape == (2 * HEIGHT, *colors.shape[1:])
        assert np.abs(picture[:HEIGHT, :WIDTH] - image).mean() < 20
        assert np.abs(picture[HEIGHT:] - colors).mean() < 20
    with av.open(str(predicted / "moving_clip.mp4")) as container:
        assert float(present(container.streams.video[0].average_rate)) == pytest.approx(world.RATE)


def test_a_report_says_what_was_written_and_its_unit(
    checkpoint_folder: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(checkpoint_folder, folder, tmp_path / "out", "color, depth")
    output = capsys.readouterr().out.splitlines()
    assert output == [
        f"depth as npz and 16-bit png of 6 frames: {tmp_path / 'out' / 'depth'}",
        f"colors of 6 frames: {tmp_path / 'out' / 'color'}",
        f"depth is metric, from velocity (speed); {ASSUMED}",
    ]


def test_depth_in_other_formats(
    checkpoint_folder: Path, predictor: Predictor, moving_clip: Path, tmp_path: Path
) -> None:
    predict(checkpoint_folder, moving_clip, tmp_path, "exr,tiff,png16")
    kinds = (("exr", "exr"), ("png16", "png"), ("tiff", "tiff"))
    assert files(tmp_path) == [f"{kind}/{name}.{suffix}" for kind, suffix in kinds for name in NAMES]
    expected = predictor.predict(moving_clip / "frames" / f"{NAMES[1]}.png").depth
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "tiff" / f"{NAMES[1]}.tiff")), expected)
    png = DepthPng(tmp_path / "png16" / f"{NAMES[1]}.png").read()
    np.testing.assert_allclose(png, expected.clip(0, 65535 / 256), atol=0.5 / 256 + 1e-6)


def test_options_of_points_reach_clouds_but_not_depth_files(
    checkpoint_folder: Path, moving_clip: Path, predicted: Path, tmp_path: Path
) -> None:
    depth = np.load(predicted / "depth" / f"{NAMES[2]}.npz")["depth"]
    limit = float(np.median(depth))
    words = ["predict", str(checkpoint_folder), str(moving_clip), "-o", str(tmp_path), "--save", "depth,cloud"]
    assert main([*words, "--all-points", "--max-depth", f"{limit:.6f}"]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "depth" / f"{NAMES[2]}.npz")["depth"], depth)
    vertices = ply.read(tmp_path / "cloud" / f"{NAMES[2]}.ply")
    np.testing.assert_allclose(vertices["z"], depth[depth <= float(f"{limit:.6f}")])
    assert main([*words, "--thin", "3"]) == 0
    assert 0 < len(ply.read(tmp_path / "cloud" / f"{NAMES[2]}.ply")) < len(vertices)


def test_flip_fuses_the_mirrored_image(
    checkpoint_folder: Path, predictor: Predictor, moving_clip: Path, tmp_path: Path
) -> None:
    image = moving_clip / "frames" / f"{NAMES[0]}.png"
    assert main(["predict", str(checkpoint_folder), str(image), "-o", str(tmp_path), "--save", "depth", "--flip"]) == 0
    expected = predictor.predict(image, flip=True)
    np.testing.assert_array_equal(np.load(tmp_path / "depth" / f"{NAMES[0]}.npz")["depth"], expected.depth)
    assert present(expected.disagreement).shape == (HEIGHT, WIDTH)
    mirrored = predictor.predict(np.asarray(Image.open(image))[:, ::-1].copy(), flip=True)
    np.testing.assert_allclose(present(mirrored.disagreement)[:, ::-1], present(expected.disagreement), atol=1e-4)
    assert predictor.predict(image).disagreement is None


def test_pictures_by_options(checkpoint_folder: Path, moving_clip: Path, predicted: Path, tmp_path: Path) -> None:
    words = ["predict", str(checkpoint_folder), str(moving_clip), "-o", str(tmp_path), "--save", "color,video"]
    assert main([*words, "--plain", "--beside", "--colormap", "gray"]) == 0
    picture = np.asarray(Image.open(tmp_path / "color" / f"{NAMES[1]}.png"))
    image = np.asarray(Image.open(moving_clip / "frames" / f"{NAMES[1]}.png"))
    np.testing.assert_array_equal(picture[:, :WIDTH], image)
    assert picture.shape == (HEIGHT, 2 * WIDTH, 3)
    depth = np.load(predicted / "depth" / f"{NAMES[1]}.npz")["depth"]
    gray = picture[:, WIDTH:].astype(int)
    assert (gray.max(-1) - gray.min(-1)).max() == 0
    assert np.corrcoef(gray[..., 0].ravel(), (1 / depth).ravel())[0, 1] > 0.98
    assert decoded(tmp_path / "moving_clip.mp4")[0].shape == (HEIGHT, 2 * WIDTH, 3)


# --- a map of the whole clip --------------------------------------------------------------------------------------


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The depth network knows the world, so that frames agree."""

    def depth_of_world(self: Predictor, clip: Clip, camera: Camera, *, flip: bool) -> Iterator[Prediction]:
        for index, frame in enumerate(clip.frames):
            image, depth = world.render(index)
            depth = depth.astype(np.float32)
            pixels = (image * 255).astype(np.uint8)
            yield Prediction(depth, 1 / depth, self.meta.metric, self.meta.scale_source, pixels, camera, frame.time)

    monkeypatch.setattr(Predictor, "predict_clip", depth_of_world)


@pytest.mark.usefixtures("exact")
def test_a_map_along_measured_poses(
    checkpoint_folder: Path, moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = PointOptions(thin=0.25, max_depth=12)
    predict(checkpoint_folder, moving_clip, tmp_path, "map", points=options)
    assert files(tmp_path) == ["map.ply"]
    vertices = ply.read(tmp_path / "map.ply")
    on_ground = np.abs(vertices["y"] - world.START[2]) < 1e-4
    on_wall = np.abs(vertices["z"] - (world.WALL - world.START[0])) < 1e-4
    assert (on_ground | on_wall).all()
    assert len(vertices) > 300
    assert vertices["views"].min() >= 2
    comments = ply.comments(tmp_path / "map.ply")
    assert comments["unit"] == "metre"
    assert comments["trajectory"] == "measured poses"
    assert comments["voxel"] == "0.25"
    assert comments["reach"] == "depth up to 12 m (given)"
    expected = (
        f"map of 6 frames: {tmp_path / 'map.ply'} ({len(vertices)} points up to a depth of 12 m (--max-depth), "
        f"voxels of 0.25 m, along measured poses)"
    )
    assert capsys.readouterr().out.splitlines()[0] == expected


@pytest.mark.usefixtures("exact")
def test_a_map_says_how_far_it_reaches_by_itself_and_how_it_would_reach_farther(
    checkpoint_folder: Path, moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(checkpoint_folder, moving_clip, tmp_path, "map", points=PointOptions(all_points=True))
    medians = [float(np.median(world.render(index)[1])) for index in range(world.FRAMES)]
    reach = f"{min(medians):.3g} to {max(medians):.3g} m"
    line = capsys.readouterr().out.splitlines()[0]
    assert f"up to a depth of {reach} (the median depth of each frame; --max-depth takes farther points)" in line
    comments = ply.comments(tmp_path / "map.ply")
    assert comments["reach"] == f"depth up to {reach} (the median depth of each frame)"
    assert float(comments["voxel"]) == pytest.approx(medians[0] / 200, rel=1e-3)


@pytest.mark.usefixtures("exact")
def test_a_map_along_predicted_motion(checkpoint_folder: Path, folder: Path, tmp_path: Path) -> None:
    camera = camera_file(tmp_path / "camera.yaml")
    predict(checkpoint_folder, folder, tmp_path / "out", "map", camera=camera, points=PointOptions(thin=0.5))
    comments = ply.comments(tmp_path / "out" / "map.ply")
    assert comments["trajectory"] == "predicted motion, aligned with predicted depth"
    assert len(ply.read(tmp_path / "out" / "map.ply")) > 100


@pytest.mark.parametrize("flip", [0.0, 0.5])
def test_fusion_with_mirror_images_is_discouraged_where_training_has_seen_none(
    checkpoint_folder: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flip: float
) -> None:
    unmirrored = shutil.copytree(checkpoint_folder, tmp_path / "best")
    run_file = unmirrored / "run.yaml"
    values = yaml.safe_load(run_file.read_text())
    values["data"]["augmentation"] = {"flip": flip}
    run_file.write_text(yaml.safe_dump(values))
    predict(unmirrored, folder, tmp_path / "plain", "depth")
    assert "mirrored" not in capsys.readouterr().err
    predict(unmirrored, folder, tmp_path / "fused", "depth", flip=True)
    found = "trained without mirrored images (data.augmentation.flip: 0)" in capsys.readouterr().err
    assert found == (flip == 0)


def test_a_map_that_fails_leaves_nothing(checkpoint_folder: Path, folder: Path, tmp_path: Path) -> None:
    for index in range(world.FRAMES):  # a standing camera
        shutil.copy(folder / f"{NAMES[0]}.png", folder / f"{NAMES[index]}.png") if index else None
    camera = camera_file(tmp_path / "camera.yaml")
    message = refusal(
        checkpoint=checkpoint_folder,
        input=folder,
        output=tmp_path / "out",
        save="map",
        camera=camera,
        points=PointOptions(max_depth=1e-6),
    )
    assert message.startswith(f"{tmp_path / 'out' / 'map.ply'}: no map: no two frames")
    assert files(tmp_path / "out") == []


# --- depth up to a factor -----------------------------------------------------------------------------------------


@pytest.fixture
def relative_checkpoint(checkpoint_folder: Path, tmp_path: Path) -> Path:
    """The checkpoint, of which the scale is not known."""
    copy = shutil.copytree(checkpoint_folder, tmp_path / "relative")
    meta = json.loads((copy / "meta.json").read_text())
    (copy / "meta.json").write_text(json.dumps(meta | {"metric": False, "scale_source": "none"}))
    return copy


@pytest.mark.usefixtures("exact")
def test_relative_depth_is_never_called_metres(
    relative_checkpoint: Path, moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    predict(relative_checkpoint, moving_clip, output, f"{ALL},exr,tiff,map", points=PointOptions(thin=0.5))
    written = files(output)
    assert not [name for name in written if name.startswith("depth/") and name.endswith(".png")]
    text = capsys.readouterr().out
    assert not re.search(r"\bm\b|metre", text.replace("which holds metres", ""))
    assert "depth as npz (no 16-bit png, which holds metres) of 6 frames" in text
    assert "depth is up to a factor: nothing gives it a scale" in text
    assert "--thin 0.5 is in the unknown unit of this depth" in text
    for name in ("map.ply", f"cloud/{NAMES[0]}.ply"):
        assert ply.comments(output / name)["unit"] == "none, depth is known up to a factor"
    assert b"metre" not in (output / "exr" / f"{NAMES[0]}.exr").read_bytes()
    assert ply.comments(output / "map.ply")["trajectory"].startswith("predicted motion")  # poses are in metres
    colors = np.asarray(Image.open(output / "color" / f"{NAMES[0]}.png"))
    limits = (0.1, 0.2)
    np.testing.assert_array_equal(colors, with_bar(colors[:, :WIDTH], *limits, "dusk", metric=False))


def test_a_16_bit_png_of_relative_depth_is_refused(relative_checkpoint: Path, folder: Path, tmp_path: Path) -> None:
    message = refusal(checkpoint=relative_checkpoint, input=folder, output=tmp_path / "out", save="png16")
    assert message == (
        "--save png16: depth as 16-bit png holds metres x 256; save depth, tiff or exr, as depth is up to a factor: "
        "nothing gives it a scale"
    )
    assert not (tmp_path / "out").exists()


# --- what is read -----------------------------------------------------------------------------------------------


def test_images_of_a_lens_are_undistorted(
    checkpoint_folder: Path, moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = Path(shutil.copytree(moving_clip, tmp_path / "clip"))
    with (clip / "camera.yaml").open("a") as file:
        file.write("lens: {kind: brown_conrady, coefficients: [-0.2, 0.05, 0, 0]}\n")
    predict(checkpoint_folder, clip, tmp_path / "out", "depth")
    assert f"{clip}: lens: brown_conrady undistorted; " in capsys.readouterr().out
    (undistorted,) = open_clips(clip)
    with np.load(tmp_path / "out" / "depth" / f"{NAMES[1]}.npz") as content:
        assert content["intrinsics"][0, 0] == undistorted.camera.fx


def test_a_folder_of_images(checkpoint_folder: Path, folder: Path, tmp_path: Path) -> None:
    predict(checkpoint_folder, folder, tmp_path / "out", "color,video")
    assert files(tmp_path / "out") == [*(f"color/{name}.png" for name in NAMES), "images.mp4"]


def test_a_clip_whose_times_and_camera_are_unknown(checkpoint_folder: Path, folder: Path, tmp_path: Path) -> None:
    shutil.move(folder, tmp_path / "clip" / "frames")
    (clip,) = open_clips(tmp_path / "clip")
    assert (clip.name, [frame.name for frame in clip.frames], frames_per_second(clip)) == ("images/clip", NAMES, 10)
    predict(checkpoint_folder, tmp_path / "clip", tmp_path / "out", "depth,video")
    assert (tmp_path / "out" / "clip.mp4").exists()
    assert "intrinsics" not in np.load(tmp_path / "out" / "depth" / f"{NAMES[0]}.npz")


def test_images_of_several_sizes(checkpoint_folder: Path, folder: Path, tmp_path: Path) -> None:
    Image.open(folder / f"{NAMES[1]}.png").resize((31, 17)).save(folder / f"{NAMES[1]}.png")
    predict(checkpoint_folder, folder, tmp_path / "out", "depth")
    depths = [np.load(tmp_path / "out" / "depth" / f"{name}.npz")["depth"].shape for name in NAMES[:2]]
    assert depths == [(HEIGHT, WIDTH), (17, 31)]


@pytest.mark.parametrize("others", [NAMES[:3], NAMES[3:]])
def test_depth_of_images_of_several_sizes_is_metric_if_all_are_sizes_of_the_training(
    checkpoint_folder: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], others: list[str]
) -> None:
    trained = TrainedCamera(width=WIDTH, height=HEIGHT, fx=60, fy=58, cx=46, cy=22.5)
    upright = TrainedCamera(width=HEIGHT, height=WIDTH, fx=60, fy=58, cx=22.5, cy=46)
    for name in others:
        Image.open(folder / f"{name}.png").rotate(90, expand=True).save(folder / f"{name}.png")
    both = trained_on(tmp_path / "both", checkpoint_folder, trained, upright)
    predict(both, folder, tmp_path / "metric", "depth,png16")
    assert len(list((tmp_path / "metric" / "png16").iterdir())) == len(NAMES)
    assert "depth is metric, from velocity (speed)" in capsys.readouterr().out
    one = trained_on(tmp_path / "one", checkpoint_folder, trained)
    predict(one, folder, tmp_path / "out", "depth")
    sizes = ["48x96", "96x48"] if others[0] == NAMES[0] else ["96x48", "48x96"]
    reason = (
        f"depth is not metric for images: its camera is not known, and its images are {', '.join(sizes)} pixels where "
        f"the networks were trained on 96x48; predict the images of each size apart"
    )
    assert capsys.readouterr().out.splitlines()[1:] == [reason]
    assert files(tmp_path / "out" / "depth") == [f"{name}.npz" for name in NAMES]
    for name in NAMES:
        with np.load(tmp_path / "out" / "depth" / f"{name}.npz") as content:
            assert not content["metric"]
    message = refusal(checkpoint=one, input=folder, output=tmp_path / "none", save="png16")
    assert message.endswith(f"save depth, tiff or exr, as {reason}")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_an_image_with_its_camera_beside_it(checkpoint_folder: Path, tmp_path: Path, mode: str) -> None:
    image = (world.render(0)[0] * 255).astype(np.uint8)
    Image.fromarray(image).convert(mode).save(tmp_path / "street.png")
    camera_file(tmp_path / "street.yaml")
    predict(checkpoint_folder, tmp_path / "street.png", tmp_path, ALL)  # beside the input is allowed
    expected = ["cloud/street.ply", "color/street.png", "depth/street.npz", "depth/street.png"]
    assert files(tmp_path) == sorted([*expected, "street.mp4", "street.png", "street.yaml"])
    (picture,) = decoded(tmp_path / "street.mp4")
    assert picture.shape[0] == 2 * HEIGHT  # the image over its depth
    assert picture.shape[1] > WIDTH  # beside it, the color bar


def test_a_video_with_its_camera_beside_it(checkpoint_folder: Path, video: Path, tmp_path: Path) -> None:
    camera_file(tmp_path / "drive.yaml")
    predict(checkpoint_folder, video, tmp_path / "out", ALL, pictures=PictureOptions(plain=True))
    kinds = (("cloud", "ply"), ("color", "png"), ("depth", "npz"), ("depth", "png"))
    expected = [f"{kind}/{name}.{suffix}" for kind, suffix in kinds for name in NAMES]
    assert files(tmp_path / "out") == sorted([*expected, "drive.mp4"])
    with av.open(str(tmp_path / "out" / "drive.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (WIDTH, 2 * HEIGHT, world.FRAMES)
        assert stream.average_rate == 12


def test_frames_are_read_one_at_a_time(
    checkpoint_folder: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    read, write = ImageFile.read, DepthWriter.append

    def noted_read(self: ImageFile) -> np.ndarray:
        events.append("read")
        return read(self)

    def noted_write(*args: Any) -> None:
        events.append("write")
        write(*args)

    monkeypatch.setattr(ImageFile, "read", noted_read)
    monkeypatch.setattr(DepthWriter, "append", noted_write)
    predict(checkpoint_folder, folder, tmp_path / "out", "depth")
    assert events == ["read", "write"] * world.FRAMES


def test_batches_predict_the_same_but_for_rounding(checkpoint_folder: Path, video: Path, tmp_path: Path) -> None:
    for batch in (1, 4):
        predict(checkpoint_folder, video, tmp_path / str(batch), "depth", flip=True, batch=batch)
    for frame in range(world.FRAMES):
        with (
            np.load(tmp_path / "1" / f"depth/{frame:06d}.npz") as one,
            np.load(tmp_path / "4" / f"depth/{frame:06d}.npz") as four,
        ):
            np.testing.assert_allclose(four["depth"], one["depth"], rtol=1e-4)
    with pytest.raises(InputError, match="--batch: is 0; it must be at least 1"):
        predict(checkpoint_folder, video, tmp_path / "out", batch=0)


def test_the_range_of_colors_comes_from_few_frames(
    checkpoint_folder: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SAMPLES", 2)
    read, paths = ImageFile.read, list[str]()

    def noted(self: ImageFile) -> np.ndarray:
        paths.append(self.path.stem)
        return read(self)

    monkeypatch.setattr(ImageFile, "read", noted)
    predict(checkpoint_folder, folder, tmp_path / "out", "color")
    assert paths == [NAMES[0], NAMES[3], *NAMES]  # spread over the clip


# --- several clips -----------------------------------------------------------------------------------------------


@pytest.fixture
def clips(moving_clip: Path, tmp_path: Path) -> Path:
    """A folder of two clips."""
    for name in ("monday", "tuesday"):
        shutil.copytree(moving_clip, tmp_path / "clips" / name)
    return tmp_path / "clips"


def test_several_clips_get_a_folder_each(
    checkpoint_folder: Path, clips: Path, predicted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(checkpoint_folder, clips, tmp_path / "out", ALL, points=PointOptions(all_points=True))
    for name in ("monday", "tuesday"):
        video = [each.replace("moving_clip", name) for each in files(predicted)]
        assert files(tmp_path / "out" / name) == sorted(video)
        for file in (f"depth/{NAMES[1]}.npz", f"color/{NAMES[1]}.png", f"cloud/{NAMES[1]}.ply"):
            assert (tmp_path / "out" / name / file).read_bytes() == (predicted / file).read_bytes()
    assert capsys.readouterr().out.splitlines()[-1] == "depth is metric, from velocity (speed)"


def test_a_clip_among_several_is_not_written_over(checkpoint_folder: Path, clips: Path) -> None:
    before = files(clips)
    message = refusal(checkpoint=checkpoint_folder, input=clips, output=clips, save="depth")
    assert message.endswith(f"over the input {clips}; name another folder")
    assert files(clips) == before


def test_a_drive_of_kitti(checkpoint_folder: Path, data: Path, tmp_path: Path) -> None:
    drive = data / "kitti_raw/2011_09_26/2011_09_26_drive_0052_sync"
    words = ["predict", str(checkpoint_folder), str(drive), "frames=[0, 2]", "-o", str(tmp_path), "--save", "cloud"]
    assert main(words) == 0
    (clip,) = open_clips(drive)
    assert files(tmp_path) == [f"cloud/{frame.name}.ply" for frame in clip.frames[:2]]


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.fixture
def refused(checkpoint_folder: Path, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Arguments of a call that must fail without a trace."""
    yield {"checkpoint": checkpoint_folder, "output": tmp_path / "out"}
    assert not (tmp_path / "out").exists()


def refusal(**arguments: object) -> str:
    """The one sentence that a call fails with."""
    with pytest.raises(InputError) as error:
        predict(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_unknown_kind(refused: dict[str, Any], folder: Path) -> None:
    assert (
        refusal(**refused, input=folder, save="depth,colour") == "--save: cannot save 'colour': did you mean 'color'?"
    )
    message = "--save: cannot save '': valid names are depth, exr, tiff, png16, color, video, cloud, map"
    assert refusal(**refused, input=folder, save="") == message


def test_an_input_that_is_not_there_or_empty(refused: dict[str, Any], tmp_path: Path) -> None:
    assert refusal(**refused, input=tmp_path / "x.mp4").startswith(f"{tmp_path / 'x.mp4'}: not found; it would be an ")
    (tmp_path / "empty").mkdir()
    assert "holds no image and looks like no data set" in refusal(**refused, input=tmp_path / "empty")
    assert "no video that can be opened" in refusal(**refused, input=Path(__file__))


def test_a_cloud_without_a_camera(refused: dict[str, Any], folder: Path) -> None:
    message = refusal(**refused, input=folder, save="cloud")
    assert message.endswith(
        "no camera is known, but --save cloud needs one; name its file with --camera, or its field of view with --fov"
    )


def trained_on(folder: Path, checkpoint_folder: Path, *cameras: TrainedCamera, metric: bool = True) -> Path:
    """A copy of a checkpoint, which was trained on the images of some cameras."""
    shutil.copytree(checkpoint_folder, folder)
    meta = json.loads((folder / "meta.json").read_text())
    meta |= {"trained_cameras": [each.model_dump() for each in cameras], "metric": metric}
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


@pytest.mark.parametrize("metric", [True, False])
def test_a_cloud_without_a_camera_has_that_of_the_training_for_its_size(
    checkpoint_folder: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], metric: bool
) -> None:
    trained = TrainedCamera(width=WIDTH, height=HEIGHT, fx=60, fy=58, cx=46, cy=22.5)
    other = trained.model_copy(update={"width": WIDTH + 32})
    checkpoint = trained_on(tmp_path / "best", checkpoint_folder, trained, other, metric=metric)
    image = folder / f"{NAMES[0]}.png"
    predict(checkpoint, image, tmp_path / "out", "cloud,depth")
    assert capsys.readouterr().out.count(ASSUMED) == 1
    named = camera_file(tmp_path / "camera.yaml")
    predict(checkpoint, image, tmp_path / "named", "cloud,depth", camera=named)
    assert ASSUMED not in capsys.readouterr().out
    clouds = [(tmp_path / name / "cloud" / f"{NAMES[0]}.ply").read_bytes() for name in ("out", "named")]
    assert clouds[0] == clouds[1]
    predict(checkpoint, image, tmp_path / "bare", "depth")
    bare, out = (np.load(tmp_path / name / "depth" / f"{NAMES[0]}.npz") for name in ("bare", "out"))
    np.testing.assert_array_equal(bare["depth"], out["depth"])
    assert open_footage([str(checkpoint), str(image)]).scale.count(ASSUMED) == 1


def test_a_cloud_of_a_size_of_no_camera_or_of_two_is_refused(
    checkpoint_folder: Path, folder: Path, tmp_path: Path
) -> None:
    trained = TrainedCamera(width=WIDTH, height=HEIGHT, fx=60, fy=58, cx=46, cy=22.5)
    for name, cameras in {
        "other": [trained.model_copy(update={"width": WIDTH + 32})],
        "two": [trained, trained.model_copy(update={"fx": 90.0})],
    }.items():
        checkpoint = trained_on(tmp_path / name, checkpoint_folder, *cameras)
        with pytest.raises(InputError, match="no camera is known, but --save cloud needs one"):
            predict(checkpoint, folder / f"{NAMES[0]}.png", tmp_path / "out", "cloud")
    mixed = trained_on(tmp_path / "mixed", checkpoint_folder, trained)
    Image.open(folder / f"{NAMES[1]}.png").resize((31, 17)).save(folder / f"{NAMES[1]}.png")
    with pytest.raises(InputError, match="no camera is known, but --save cloud needs one"):
        predict(mixed, folder, tmp_path / "out", "cloud")


def test_a_map_of_unrelated_images(refused: dict[str, Any], folder: Path) -> None:
    image = folder / f"{NAMES[0]}.png"
    camera = camera_file(folder.parent / "camera.yaml")
    message = refusal(**refused, input=image, save="map", camera=camera)
    assert message.endswith("a map needs consecutive frames of one moving camera")
    assert "but --save map needs one" in refusal(**refused, input=folder, save="map")


def test_a_length_that_is_none(refused: dict[str, Any], folder: Path) -> None:
    for points, option in ((PointOptions(max_depth=0.0), "--max-depth 0"), (PointOptions(thin=-1.0), "--thin -1")):
        message = refusal(**refused, input=folder, points=points)
        assert message == f"{option}: is no length; give a positive number of metres"


def test_a_camera_for_another_size(refused: dict[str, Any], folder: Path, video: Path, tmp_path: Path) -> None:
    camera = camera_file(tmp_path / "other.yaml", height=10)
    for source, image in ((folder, folder / f"{NAMES[0]}.png"), (video, video)):
        message = refusal(**refused, input=source, camera=camera)
        assert message == f"{image}: is 96x48 pixels, but {camera} is for 96x10; give the camera of these images"
    camera_file(tmp_path / "drive.yaml", width=10)
    assert "drive.yaml is for 10x48" in refusal(**refused, input=video)


def test_a_camera_that_is_not_there(refused: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    assert "nowhere.yaml: not found" in refusal(**refused, input=folder, camera=tmp_path / "nowhere.yaml")


def test_a_video_of_several_sizes(refused: dict[str, Any], folder: Path) -> None:
    Image.open(folder / f"{NAMES[1]}.png").resize((31, 17)).save(folder / f"{NAMES[1]}.png")
    message = refusal(**refused, input=folder, save="video")
    assert message.endswith("is 31x17 pixels, but the first one is 96x48; a video needs images of one size")


def test_a_checkpoint_that_is_none(refused: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    assert "is no checkpoint" in refusal(**refused | {"checkpoint": tmp_path}, input=folder)


def test_an_output_that_is_a_file(checkpoint_folder: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = refusal(checkpoint=checkpoint_folder, input=folder, output=tmp_path / "file")
    assert message.startswith(f"{tmp_path / 'file'}: cannot be made a folder")


def test_the_input_is_not_written_over(checkpoint_folder: Path, moving_clip: Path, video: Path, tmp_path: Path) -> None:
    clip = shutil.copytree(moving_clip, tmp_path / "clip")
    image = shutil.copytree(clip / "frames", tmp_path / "color") / f"{NAMES[0]}.png"
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for source, output, save in (
        (clip, clip, "depth"),  # its depth/ holds measurements
        (video, tmp_path, "video"),
        (tmp_path / "color", tmp_path, "color"),
        (image, tmp_path, "color"),
    ):
        message = refusal(checkpoint=checkpoint_folder, input=source, output=output, save=save)
        assert message.endswith(f"over the input {source}; name another folder")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_truncated_frame_is_found_before_anything_is_written(
    checkpoint_folder: Path, folder: Path, tmp_path: Path
) -> None:
    truncated = folder / f"{NAMES[4]}.png"
    truncated.write_bytes(truncated.read_bytes()[:-200])
    message = refusal(checkpoint=checkpoint_folder, input=folder, output=tmp_path / "out")
    assert message.startswith(f"{truncated}: is truncated")
    assert not (tmp_path / "out").exists()


def test_a_damaged_frame_leaves_whole_files_alone(
    checkpoint_folder: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SAMPLES", 2)  # frames 0 and 3 set the colors
    damaged = folder / f"{NAMES[4]}.png"
    content = damaged.read_bytes()
    half = len(content) // 2
    damaged.write_bytes(content[:half] + b"damaged!" + content[half + 8 :])
    message = refusal(checkpoint=checkpoint_folder, input=folder, output=tmp_path / "out", save="depth,video")
    assert message.startswith(f"{damaged}: is truncated or broken")
    whole = [f"depth/{name}.{suffix}" for name in NAMES[:4] for suffix in ("npz", "png")]
    assert files(tmp_path / "out") == whole  # neither a part of the video nor a temporary file


# --- what is there already --------------------------------------------------------------------------------------


def test_predictions_of_the_same_frames_are_replaced_and_named(
    checkpoint_folder: Path, moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(checkpoint_folder, moving_clip, tmp_path / "out", "tiff")
    assert "replaced" not in capsys.readouterr().err
    predict(checkpoint_folder, moving_clip, tmp_path / "out", "tiff,color")
    assert f"replaced: {tmp_path / 'out/tiff'}\n" in capsys.readouterr().err


def test_predictions_of_other_frames_are_not_mixed(checkpoint_folder: Path, moving_clip: Path, tmp_path: Path) -> None:
    predict(checkpoint_folder, moving_clip, tmp_path / "out", "tiff")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/tiff").iterdir()}
    with pytest.raises(InputError, match=f"holds files of other frames, such as {NAMES[3]}.tiff"):
        predict(checkpoint_folder, moving_clip, tmp_path / "out", "tiff", options=["frames=[0,3]"])
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out/tiff").iterdir()} == before


def test_a_camera_is_said_to_be_assumed_only_where_none_is_known(
    checkpoint_folder: Path, moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(checkpoint_folder, moving_clip, tmp_path / "out", "depth")
    assert capsys.readouterr().out.splitlines()[-1] == "depth is metric, from velocity (speed)"


def test_a_checkpoint_in_the_place_of_the_data_is_called_one(
    checkpoint_folder: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(checkpoint_folder)]) == 2
    assert f"{checkpoint_folder}: is a checkpoint and no data" in capsys.readouterr().err
    assert main(["data", "import", str(folder), "phone.csv", str(tmp_path / "mine")]) == 2
    assert "is not an option; write key=value, such as" in capsys.readouterr().err
