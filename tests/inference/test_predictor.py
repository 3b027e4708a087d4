"""Images in, depth and ego-motion out."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from present import present
from safetensors.torch import load_file, save_file
from tiny import FORWARD, HEIGHT, WIDTH

import packdepth
from packdepth.config import Precision
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.resize import resize_image
from packdepth.geometry.warp import synthesize
from packdepth.inference.predictor import BATCH, PAIRS, Predictor, image_tensor, load
from packdepth.networks.ego_motion import views
from packdepth.networks.flip import fuse_flipped
from packdepth.networks.twostream import TwoStreamBlock
from packdepth.sources.files import ImageFile

CAMERA = Camera(fx=50.0, fy=50.0, cx=41.0, cy=22.0, width=83, height=45)


def test_depth_has_the_size_of_the_image(predictor: Predictor, image: np.ndarray) -> None:
    prediction = predictor.predict(image, CAMERA)
    for array in (prediction.depth, prediction.inv_depth):
        assert array.shape == (45, 83)
        assert array.dtype == np.float32
        assert (array > 0).all()
    np.testing.assert_allclose(prediction.depth * prediction.inv_depth, 1, rtol=1e-6)
    assert prediction.inv_depth.std() > 0.05 * prediction.inv_depth.mean()
    assert (prediction.metric, prediction.scale_source) == (True, "velocity (speed)")
    np.testing.assert_array_equal(prediction.image, image)
    assert prediction.camera is CAMERA
    assert predictor.predict(image).camera is None


def test_an_image_of_the_networks_size_is_left_as_it_is(predictor: Predictor) -> None:
    pixels = torch.rand(1, 3, HEIGHT, WIDTH)
    prediction = predictor.predict(pixels[0].permute(1, 2, 0).numpy())
    with torch.no_grad():
        expected = predictor.depth(pixels)[0][0, 0]
    np.testing.assert_allclose(prediction.inv_depth, expected.numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    "convert",
    [
        Image.fromarray,
        lambda image: Image.fromarray(image).convert("RGBA"),
        lambda image: image.astype(np.float64) / 255,
        lambda image: np.asfortranarray(image),
        lambda image: image[:, ::-1].copy()[:, ::-1],
        lambda image: np.asarray(Image.fromarray(image)),  # read-only
    ],
    ids=["pillow", "RGBA", "float", "fortran", "strides", "read-only"],
)
def test_an_image_may_come_in_any_form(
    predictor: Predictor, image: np.ndarray, convert: Callable[[np.ndarray], Any]
) -> None:
    expected = predictor.predict(image).depth
    np.testing.assert_allclose(predictor.predict(convert(image)).depth, expected, rtol=1e-4)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_an_image_may_be_a_file(predictor: Predictor, image: np.ndarray, tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(image).convert(mode)
    picture.save(tmp_path / "image.png")
    expected = predictor.predict(np.asarray(picture.convert("RGB"))).depth
    for path in (tmp_path / "image.png", str(tmp_path / "image.png")):
        np.testing.assert_array_equal(predictor.predict(path).depth, expected)


def test_gray_is_read_as_equal_channels(predictor: Predictor, image: np.ndarray) -> None:
    gray = image[..., 0]
    expected = predictor.predict(np.stack([gray] * 3, axis=-1)).depth
    np.testing.assert_array_equal(predictor.predict(gray).depth, expected)
    np.testing.assert_array_equal(predictor.predict(Image.fromarray(gray)).depth, expected)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((4, 5, 4), np.uint8), r"shape \[H, W, 3\] \(RGB\) or \[H, W\] \(gray\); found \[4, 5, 4\]"),
        (np.zeros((1, 3, 4, 5), np.uint8), r"found \[1, 3, 4, 5\]"),
        (np.zeros((0, 5), np.uint8), r"found \[0, 5\]"),
        (np.zeros((4, 5), np.int32), r"holds uint8, or floats in \[0, 1\]; found int32"),
        (np.full((4, 5, 3), 200.0), r"in \[0, 1\]; found 200 to 200: divide by 255 or pass uint8"),
        (np.full((4, 5, 3), -0.1, np.float32), r"found -0.1 to -0.1"),
        (np.full((4, 5), np.nan), "found NaN or infinity: replace them"),
        (np.array([[0.5, np.inf]]), "found NaN or infinity: replace them"),
        (torch.zeros(3, 4, 5), "an image is a path, a Pillow image or a numpy array; found Tensor"),
        (Path("nowhere.png"), "nowhere.png: not found"),
        (Path(__file__), "is not an image that can be read"),
    ],
)
def test_what_is_no_image_is_refused(predictor: Predictor, wrong: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        predictor.predict(wrong)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_camera_for_another_size_is_refused(predictor: Predictor, image: np.ndarray) -> None:
    with pytest.raises(InputError, match="camera is for 40x20 pixels, but the image has 83x45"):
        predictor.predict(image, CAMERA.resized(20, 40))


def test_flip_fusion_does_not_know_left_from_right(predictor: Predictor, image: np.ndarray) -> None:
    fused = predictor.predict(image, flip=True).inv_depth
    mirrored = predictor.predict(image[:, ::-1], flip=True).inv_depth
    np.testing.assert_allclose(mirrored[:, ::-1], fused, rtol=1e-3)
    assert np.abs(fused - predictor.predict(image).inv_depth).max() > 1e-3


def test_each_orientation_can_be_inferred_once_for_a_batch(predictor: Predictor, image: np.ndarray) -> None:
    images = torch.cat([image_tensor(image), image_tensor(255 - image)])
    plain, mirrored = predictor.inv_depth(images), predictor.inv_depth(images.flip(-1))
    assert plain.shape == (2, 1, HEIGHT, WIDTH)
    assert not plain.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(plain.clone(), predictor.depth(resize_image(images, HEIGHT, WIDTH))[0])
    fused = torch.nn.functional.interpolate(
        fuse_flipped(plain, mirrored), (45, 83), mode="bilinear", align_corners=False
    )
    single = predictor.predict(255 - image, flip=True).inv_depth
    np.testing.assert_allclose(fused[1, 0].numpy(), single, rtol=1e-4)


# --- batches and clips --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flip", [False, True])
def test_a_batch_predicts_as_one_image_at_a_time(predictor: Predictor, image: np.ndarray, flip: bool) -> None:
    images = np.stack([np.roll(image, shift, axis=1) for shift in range(BATCH + 3)])
    for batch in (images, images.astype(np.float32) / 255, list(images)):
        found = predictor.predict_batch(batch, CAMERA, flip=flip)
        assert len(found) == BATCH + 3
        for each, picture in zip(found, images, strict=True):
            expected = predictor.predict(picture, CAMERA, flip=flip)
            np.testing.assert_allclose(each.depth, expected.depth, rtol=1e-4)
            np.testing.assert_array_equal(each.image, picture)
            assert each.camera is CAMERA


def test_a_batch_may_hold_images_of_any_form_and_size(predictor: Predictor, image: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(image).save(tmp_path / "a.png")
    images: list[Any] = [tmp_path / "a.png", image[:30, :50], Image.fromarray(image).resize((20, 30)), image[..., 0]]
    cameras = [CAMERA, None, CAMERA.resized(30, 20), None]
    found = predictor.predict_batch(images, cameras)
    assert [each.depth.shape for each in found] == [(45, 83), (30, 50), (30, 20), (45, 83)]
    assert [each.camera for each in found] == cameras
    for each, single in zip(found, images, strict=True):
        np.testing.assert_allclose(each.depth, predictor.predict(single).depth, rtol=1e-4)
    assert predictor.predict_batch([]) == []


def test_a_batch_may_be_an_iterator(predictor: Predictor, image: np.ndarray) -> None:
    images = [image, image[::-1]]
    found, expected = predictor.predict_batch(iter(images), CAMERA), predictor.predict_batch(images, CAMERA)
    for each, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(each.depth, other.depth)


@pytest.mark.parametrize(
    "make",
    [lambda value: torch.tensor(value), lambda value: torch.tensor([value]), lambda value: np.array(value)],
    ids=["0-d", "[1]", "numpy"],
)
def test_a_camera_of_tensors_of_one_number_each_is_one_camera(
    predictor: Predictor, image: np.ndarray, tmp_path: Path, make: Callable[[float], Any]
) -> None:
    found, expected = predictor.predict(image, CAMERA.map(make)), predictor.predict(image, CAMERA)
    np.testing.assert_array_equal(found.depth, expected.depth)
    np.testing.assert_allclose(found.points(), expected.points(), rtol=1e-6)
    for name, each in (("found", found), ("expected", expected)):
        each.save(tmp_path / f"{name}.npz")
    with np.load(tmp_path / "found.npz") as one, np.load(tmp_path / "expected.npz") as other:
        np.testing.assert_allclose(one["intrinsics"], other["intrinsics"])
    motions = [list(predictor.motions([image, image[:, ::-1]], each)) for each in (CAMERA.map(make), CAMERA)]
    np.testing.assert_allclose(motions[0], motions[1], atol=1e-6)


def test_a_batch_of_cameras_is_not_one_camera(predictor: Predictor, image: np.ndarray) -> None:
    cameras = CAMERA.map(lambda value: torch.tensor([value, value]))
    with pytest.raises(InputError, match=r"one camera holds a number for each of fx.*\[2\].*give the cameras"):
        predictor.predict(image, cameras)
    with pytest.raises(InputError, match="one camera holds a number"):
        list(predictor.motions([image, image], cameras))


@pytest.mark.parametrize("camera", ["camera.yaml", np.eye(3)])
def test_motions_need_a_camera_of_the_right_type(predictor: Predictor, image: np.ndarray, camera: Any) -> None:
    with pytest.raises(InputError, match=r"camera is a packdepth\.Camera; found"):
        list(predictor.motions([image, image], camera))


@pytest.mark.parametrize(
    ("batch", "camera", "message"),
    [
        (
            np.zeros((4, 5, 3), np.uint8),
            None,
            r"is an array \[B, H, W, 3\] or a list of images; found an array",
        ),
        ("image.png", None, "or a list of images; found str"),
        (None, None, "or a list of images; found NoneType"),
        (
            np.zeros((2, 4, 5, 3), np.uint8),
            "camera.yaml",
            "camera is a packdepth.Camera; found str; packdepth.Camera.from_matrix makes one",
        ),
        (np.zeros((2, 4, 5, 3), np.uint8), [CAMERA, Path("camera.yaml")], "found PosixPath"),
        (np.zeros((2, 4, 5, 3), np.uint8), np.eye(3), "camera is a packdepth.Camera; found ndarray"),
        (np.zeros((2, 4, 5, 3), np.uint8), np.eye(3).tolist(), "camera is a packdepth.Camera; found list"),
        (np.zeros((2, 4, 5, 3), np.uint8), [CAMERA], "2 images comes with 1 cameras"),
        (np.zeros((2, 4, 5, 3), np.uint8), CAMERA, "the camera is for 83x45 pixels, but the image has 5x4"),
        (np.zeros((2, 4, 5, 4), np.uint8), None, r"found \[4, 5, 4\]"),
    ],
)
def test_what_is_no_batch_is_refused(predictor: Predictor, batch: Any, camera: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        predictor.predict_batch(batch, camera)


def test_a_video_is_predicted_frame_by_frame(predictor: Predictor, moving_clip: Path) -> None:
    (clip,) = packdepth.open(moving_clip)
    found = list(predictor.video(moving_clip))
    assert [each.time for each in found] == [frame.time for frame in clip.frames]
    for each, frame in zip(found, clip.frames, strict=True):
        expected = predictor.predict(frame.image.path, clip.camera)
        np.testing.assert_array_equal(each.depth, expected.depth)
        np.testing.assert_array_equal(each.points(), expected.points())
        np.testing.assert_array_equal(each.image, frame.image.read())


def noted_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by the stem of an image's name whenever an image is read."""
    read, stems = ImageFile.read, list[str]()

    def noted(self: ImageFile) -> np.ndarray:
        stems.append(self.path.stem)
        return read(self)

    monkeypatch.setattr(ImageFile, "read", noted)
    return stems


def test_a_video_is_read_as_it_is_needed(
    predictor: Predictor, moving_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = noted_reads(monkeypatch)
    predictions = predictor.video(moving_clip)
    assert paths == []
    next(predictions)
    next(predictions)
    assert paths == ["000000", "000001"]


def test_a_video_is_one_clip(predictor: Predictor, moving_clip: Path, tmp_path: Path) -> None:
    for name in ("monday", "tuesday"):
        shutil.copytree(moving_clip, tmp_path / name)
    with pytest.raises(InputError, match=r"holds 2 clips \(folder/monday, folder/tuesday\); give the path or"):
        predictor.video(tmp_path)
    found = predictor.video(tmp_path, options=["names=[monday]", "frames=[2, 4]"])
    assert [each.time for each in found] == [0.2, 0.3]


def test_a_predictor_is_printed_in_one_line(predictor: Predictor) -> None:
    assert repr(predictor) == "Predictor(packnet 32x64, posenet, metric, from velocity (speed), cpu)"


# --- ego-motion ---------------------------------------------------------------------------------------------------


def frames(number: int) -> list[np.ndarray]:
    """Images [number, 20, 30, 3] uint8, each another one."""
    generator = np.random.default_rng(0)
    return list(generator.integers(0, 256, (number, 20, 30, 3), dtype=np.uint8))


def test_ego_motion_is_that_of_consecutive_frames(predictor: Predictor) -> None:
    images = frames(PAIRS + 3)
    motions = predictor.ego_motion(iter(images))
    assert motions.shape == (PAIRS + 2, 4, 4)
    assert motions.dtype == np.float64
    np.testing.assert_array_equal(motions, predictor.ego_motion(images))
    for index in (0, PAIRS - 1, PAIRS, PAIRS + 1):
        pair = predictor.ego_motion(images[index : index + 2])
        np.testing.assert_allclose(motions[index], pair[0], atol=1e-6)
    assert np.ptp(motions, axis=0).max() > 1e-4  # they differ
    rotations = motions[:, :3, :3]
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (len(motions), 1, 1)), atol=1e-6
    )
    np.testing.assert_array_equal(motions[:, 3], [[0, 0, 0, 1]] * len(motions))


def test_ego_motion_takes_one_array_of_frames(predictor: Predictor) -> None:
    np.testing.assert_array_equal(predictor.ego_motion(np.stack(frames(3))), predictor.ego_motion(frames(3)))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (frames(1)[0], r"a sequence is an array \[N, H, W, 3\] or a list of images; found an array \[20, 30, 3\]"),
        (frames(1)[0][..., 0], r"or a list of images; found an array \[20, 30\]"),
        ("drive.mp4", "or a list of images; found str"),
        (None, "or a list of images; found NoneType"),
        ([frames(1)[0], frames(1)[0][:, :-1]], "the first one is 30x20 pixels, and a later one 29x20; give frames of"),
        (iter([*frames(9), frames(1)[0].transpose(1, 0, 2)]), "is 30x20 pixels, and a later one 20x30"),
    ],
)
def test_what_is_no_sequence_of_frames_of_one_size_has_no_ego_motion(
    predictor: Predictor, images: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        predictor.ego_motion(images)


def test_ego_motion_maps_points_of_a_frame_into_the_next(predictor: Predictor) -> None:
    # The network starts at FORWARD metres ahead a frame: what is ahead comes nearer.
    motion = predictor.ego_motion(frames(2))[0]
    ahead = motion @ np.array([0, 0, 10, 1])
    assert abs(ahead[2] - (10 - FORWARD)) < 0.1


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_motions_are_aligned_with_depth_of_either_precision(checkpoint_folder: Path, precision: Precision) -> None:
    camera = Camera(fx=50.0, fy=50.0, cx=31.5, cy=15.5, width=WIDTH, height=HEIGHT)
    frames = [np.roll(np.random.default_rng(0).random((HEIGHT, WIDTH, 3)), shift, axis=1) for shift in range(3)]
    predictor = load(checkpoint_folder, precision=precision)
    aligned, plain = (np.stack(list(predictor.motions(frames, each))) for each in (camera, None))
    assert aligned.shape == plain.shape == (2, 4, 4)
    assert not np.allclose(aligned, plain, atol=1e-3)
    images = [torch.from_numpy(frame).permute(2, 0, 1)[None].float() for frame in frames]
    for index, (found, first) in enumerate(zip(aligned, plain, strict=True)):
        np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-5)
        depth = torch.from_numpy(predictor.predict(frames[index]).depth)[None, None].float()
        errors = []
        for T in (found, first):
            view = synthesize(images[index + 1], depth, torch.from_numpy(T)[None].float(), camera)
            errors.append((view.image - images[index]).abs().mean(1, keepdim=True)[view.valid].mean().item())
        assert errors[0] < errors[1]


def test_alignment_with_the_camera_of_another_size_is_refused(predictor: Predictor) -> None:
    images = frames(2)
    camera = Camera.from_fov(60, images[0].shape[1] + 1, images[0].shape[0])
    with pytest.raises(InputError, match="give the camera of this image"):
        list(predictor.motions(images, camera))


def test_ego_motion_needs_two_frames(predictor: Predictor) -> None:
    for images in ([], frames(1)):
        with pytest.raises(InputError, match="at least 2 images"):
            predictor.ego_motion(images)


def test_the_networks_are_ready(checkpoint_folder: Path) -> None:
    predictor = packdepth.load(str(checkpoint_folder))
    assert isinstance(predictor, packdepth.Predictor)
    assert not predictor.depth.training
    assert not present(predictor.pose).training
    assert predictor.device.type == "cpu"
    assert isinstance(predictor.run, packdepth.Run)
    assert predictor.run.data.image_size == (HEIGHT, WIDTH)
    assert predictor.meta.step == 1200
    for name, weight in predictor.depth.named_parameters():
        assert weight.dim() != 4 or weight.is_contiguous(memory_format=torch.channels_last), name


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta:x"])
def test_a_device_that_is_not_there_is_refused(checkpoint_folder: Path, device: str) -> None:
    with pytest.raises(InputError, match=f"device '{device}' cannot be used here") as error:
        load(checkpoint_folder, device)
    assert "\n" not in str(error.value)


def test_bfloat16_moves_inverse_depth_by_about_a_percent(checkpoint_folder: Path, image: np.ndarray) -> None:
    precise, rough = load(checkpoint_folder), load(checkpoint_folder, precision="bf16")
    assert rough.depth.get_parameter("conv1.conv_base.weight").dtype == torch.bfloat16
    expected, found = (each.predict(image, flip=True).inv_depth for each in (precise, rough))
    assert found.dtype == np.float32
    error = np.abs(found / expected - 1)
    assert 0 < np.median(error) < 0.005
    assert error.max() < 0.03
    motions = [predictor.ego_motion([image, image[:, ::-1]]) for predictor in (precise, rough)]
    np.testing.assert_array_equal(motions[0], motions[1])  # ego-motion is as precise as ever


def test_a_precision_that_is_none_is_refused(checkpoint_folder: Path) -> None:
    with pytest.raises(InputError, match="precision 'fp8' is not known; use '32' or 'bf16'"):
        load(checkpoint_folder, precision="fp8")  # type: ignore[arg-type]


def test_weights_of_other_networks_are_refused(checkpoint_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint_folder, tmp_path / "best")
    weights = load_file(folder / "weights.safetensors")
    del weights["pose.pose_pred.bias"]
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(InputError, match="weights do not fit") as error:
        load(folder)
    assert "pose.pose_pred.bias" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no checkpoint"):
        load(tmp_path)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_two_stream_network_sees_the_depth_of_every_frame(predictor: Predictor, precision: Precision) -> None:
    torch.manual_seed(0)
    pose, depth = TwoStreamBlock(initial_forward=FORWARD).build(), copy.deepcopy(predictor.depth)
    both = Predictor(predictor.run, predictor.meta, depth, pose, torch.device("cpu"), precision)
    frames = [torch.rand(3, HEIGHT, WIDTH) for _ in range(PAIRS + 2)]
    found = both.ego_motion([frame.permute(1, 2, 0).numpy() for frame in frames])
    stacked = torch.stack(frames)
    with torch.no_grad():
        seen = views(stacked, depth(stacked.to(both.dtype))[0])
        expected = pose(seen[:-1], seen[1:, None], (1,))[:, 0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    assert found.shape == (PAIRS + 1, 4, 4)
