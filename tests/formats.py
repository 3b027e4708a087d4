"""Writers of small data sets: the world of world.py in the layouts that the shipped run files name, and videos.

Each writer makes a folder or a file that did not exist and returns its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import world
import yaml
from PIL import Image

BASELINE = 0.5  # metres between the cameras of a pair


def tree(root: Path) -> Path:
    """Write all data that shipped run files name under PACKDEPTH_DATA, in the least sizes that they need."""
    clips = root / "clips"
    world.write(clips / "hololens_room")
    add_scans(world.write(clips / "kitti360_3000"))
    keep_columns(world.write(clips / "kitti_0926_mono"), "frame", "time_s")
    add_right(world.write(clips / "kitti2015_lead_car"))
    pairs(clips / "kitti2015_pairs", 25)
    kitti_odometry(root / "kitti_odometry" / "dataset", "06")
    kitti_raw(root / "kitti_raw", "2011_09_26_drive_0052_sync", np.linspace(0, 40, 52))
    camvid(root / "camvid")
    (root / "video").mkdir()
    video(root / "video" / "highway_dashcam.mp4", [world.picture(index) for index in np.linspace(0, 5, 16)])
    return root


def add_scans(clip: Path) -> Path:
    """Give a clip of the world in the folder contract a LiDAR scan of every second frame."""
    (clip / "lidar").mkdir()
    for index in range(0, world.FRAMES, 2):
        np.savez(clip / "lidar" / f"{index:06d}.npz", points=world.scan(index), origin=np.zeros(3))
    return clip


def add_right(clip: Path) -> Path:
    """Give a clip of the world in the folder contract its right images."""
    (clip / "right").mkdir()
    for index in range(world.FRAMES):
        Image.fromarray(world.picture(index, BASELINE)).save(clip / "right" / f"{index:06d}.png")
    with (clip / "camera.yaml").open("a") as file:
        file.write(f"baseline_m: {BASELINE}\n")
    return clip


def keep_columns(clip: Path, *names: str) -> Path:
    """Remove all columns but these from the frames.csv of a clip in the folder contract."""
    rows = [line.split(",") for line in (clip / "frames.csv").read_text().splitlines()]
    places = [rows[0].index(name) for name in names]
    (clip / "frames.csv").write_text("".join(",".join(row[i] for i in places) + "\n" for row in rows))
    return clip


def pairs(clip: Path, count: int) -> Path:
    """Write unrelated stereo pairs in the folder contract, like those of KITTI 2015."""
    for folder, right in (("frames", 0.0), ("right", BASELINE)):
        (clip / folder).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(world.picture(7 * index % 12, right)).save(clip / folder / f"{index:06d}.png")
    camera = {name: getattr(world.CAMERA, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}
    (clip / "camera.yaml").write_text(yaml.safe_dump(camera | {"baseline_m": BASELINE, "independent": True}))
    (clip / "frames.csv").write_text("frame,time_s\n" + "".join(f"{index:06d},0\n" for index in range(count)))
    return clip


def kitti_odometry(root: Path, sequence: str) -> Path:
    """Write a sequence of KITTI odometry: gray images of both cameras, calibration, times and poses."""
    folder = root / "sequences" / sequence
    for camera, right in (("image_0", 0.0), ("image_1", BASELINE)):
        (folder / camera).mkdir(parents=True)
        for index in range(world.FRAMES):
            Image.fromarray(world.picture(index, right)).convert("L").save(folder / camera / f"{index:06d}.png")
    (folder / "calib.txt").write_text(f"P0: {projection(0.0)}\nP1: {projection(BASELINE)}\n")
    (folder / "times.txt").write_text("".join(f"{index / world.RATE}\n" for index in range(world.FRAMES)))
    (root / "poses").mkdir()
    poses = [world.relative_pose(0, index)[:3] for index in range(world.FRAMES)]
    (root / "poses" / f"{sequence}.txt").write_text("".join(f"{numbers(T)}\n" for T in poses))
    return root


def kitti_raw(root: Path, drive: str, moments: Iterable[float]) -> Path:
    """Write a drive of KITTI raw: images of the left color camera and its calibration.

    Args:
        root: the data set's folder.
        drive: name of the drive, such as 2011_09_26_drive_0052_sync.
        moments: frames of the world, also between whole ones.
    """
    date = root / drive[:10]
    images = date / drive / "image_02" / "data"
    images.mkdir(parents=True)
    for number, index in enumerate(moments):
        Image.fromarray(world.picture(index)).save(images / f"{number:010d}.png")
    (date / "calib_cam_to_cam.txt").write_text(
        f"R_rect_00: {numbers(np.eye(3))}\nS_rect_02: {world.CAMERA.width} {world.CAMERA.height}\n"
        f"P_rect_02: {projection(0.0)}\nP_rect_03: {projection(BASELINE)}\n"
    )
    return root


def camvid(root: Path) -> Path:
    """Write CamVid: bright sky over dark road. The border's height varies, and the last rows are unlabeled."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 2)):
        for folder in (part, f"{part}annot"):
            (root / folder).mkdir(parents=True)
        for index in range(count):
            border = int(rng.integers(16, 48))
            labels = np.where(np.arange(64)[:, None] < border, 0, 3).repeat(64, 1).astype(np.uint8)
            image = np.where(labels == 0, 220, 40)[..., None] + rng.integers(-30, 30, (64, 64, 3))
            labels[60:] = 11
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(root / part / f"{index}.png")
            Image.fromarray(labels).save(root / f"{part}annot" / f"{index}.png")
    return root


def video(
    path: Path,
    images: Sequence[np.ndarray],
    codec: str = "mpeg4",
    pixels: str = "yuv420p",
    rate: int = 10,
    times: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """Write a video of images [H, W, 3] uint8.

    Args:
        path: the file.
        images: the frames, all of one size.
        codec: FFmpeg's name of the encoder.
        pixels: FFmpeg's name of the pixel format.
        rate: frames a second.
        times: time stamps of the frames, in units of 1 / rate; 0, 1, 2, ... if left out.
        options: options of FFmpeg's container.
        pixel_aspect: width of a pixel over its height; not stated if left out.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        stream.codec_context.gop_size = 12
        if codec in ("mpeg4", "mpeg2video"):
            stream.codec_context.max_b_frames = 2
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            if times is not None:
                frame.pts = times[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def projection(right: float) -> str:
    """Return the projection matrix [3, 4] of the world's camera, moved `right` metres to the right, as text."""
    camera = world.CAMERA
    K = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
    return numbers(K @ np.column_stack([np.eye(3), [-right, 0.0, 0.0]]))


def numbers(values: np.ndarray) -> str:
    """Return numbers with blanks between them."""
    return " ".join(f"{value:.12g}" for value in np.ravel(values))
