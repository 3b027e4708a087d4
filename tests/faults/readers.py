"""The readers of files that others may have written, each with small valid files to begin from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import formats
import numpy as np
import torch
import yaml
from described import described
from PIL import Image

from packdepth import checkpoint
from packdepth.config import load_run, parse_run
from packdepth.evaluation.predictions import read_depth
from packdepth.evaluation.protocol_file import read_protocol
from packdepth.files import write_cloud, write_glb
from packdepth.inference.exported import ExportRecord, load_exported
from packdepth.inference.runtimes import KEY
from packdepth.interop.pickles import read_pickle
from packdepth.networks.encoders.encoder import read_weights
from packdepth.networks.hub import read_config, read_normalization
from packdepth.reading import read_state
from packdepth.scale.points import read_points
from packdepth.sources import decoding, open_clips
from packdepth.sources.camera_file import read_camera
from packdepth.sources.ddad import Ddad
from packdepth.sources.files import DepthPng, InstancePng, LabelPng, MaskPng, PointsNpz
from packdepth.sources.folder import read_clip, read_frames
from packdepth.sources.guess import focal_in_exif
from packdepth.sources.rgbd import Rgbd
from packdepth.sources.split import read_lines
from packdepth.sources.stills import image_size, opened, pixels, turn_of
from packdepth.sources.tracks.read import read_track
from packdepth.viewer.clouds import read_cloud

CHANCE = np.random.default_rng(0)
PICTURE = np.kron(CHANCE.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))  # [24, 32, 3]


class Reader(NamedTuple):
    """A reader."""

    write: Callable[[Path], list[Path]]  # writes valid files into a folder, and returns those that may be changed
    read: Callable[[Path, Path], Any]  # reads a file in the folder, and all that it holds


# --- pictures -----------------------------------------------------------------------------------------------------


def _exif() -> Image.Exif:
    """Return EXIF of a phone held upright."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    exif.get_ifd(0x8769).update({0x920A: (5, 1), 0xA405: 26, 0xA20E: (3000, 1), 0xA20F: 3000.5, 0xA002: 32, 0xA003: 24})
    return exif


def _write_images(root: Path) -> list[Path]:
    picture, paths = Image.fromarray(PICTURE), []
    for name in ("a.png", "a.jpg", "a.bmp", "a.webp", "a.tif", "a.ppm", "b.webp", "b.tif"):
        options: dict[str, Any] = {"exif": _exif()} if name in ("a.png", "a.jpg", "a.webp", "a.tif") else {}
        options |= {"lossless": True} if name == "b.webp" else {}
        options |= {"compression": "tiff_deflate"} if name == "b.tif" else {}
        picture.save(root / name, **options)
        paths.append(root / name)
    picture.quantize(16).save(root / "b.png")
    picture.convert("RGBA").save(root / "c.png")
    picture.convert("CMYK").save(root / "b.jpg")
    picture.save(root / "c.jpg", progressive=True)
    return [*paths, root / "b.png", root / "c.png", root / "b.jpg", root / "c.jpg"]


def _read_image(root: Path, path: Path) -> None:
    height, width = image_size(path)
    pixels(path, "RGB")
    focal_in_exif(path, height, width)


def _write_exif(root: Path) -> list[Path]:
    (root / "exif").write_bytes(_exif().tobytes())
    return [root / "exif"]


def _read_exif(root: Path, path: Path) -> None:
    """Read EXIF inside a JPEG and a PNG that are whole."""
    for suffix in (".jpg", ".png"):
        image = root / f"image{suffix}"
        Image.fromarray(PICTURE).save(image, exif=path.read_bytes()[:60_000])  # a segment of JPEG holds 64 kB
        _read_image(root, image)
        with opened(image) as still:
            turn_of(still)


def _write_maps(root: Path) -> list[Path]:
    names = ("depth.png", "label.png", "palette.png", "mask.png")
    Image.fromarray(PICTURE[..., 0].astype(np.uint16) * 200).save(root / names[0])
    Image.fromarray(PICTURE[..., 0]).save(root / names[1])
    Image.fromarray(PICTURE[..., 0]).convert("P").save(root / names[2])
    Image.fromarray(PICTURE[..., 0]).convert("1").save(root / names[3])
    return [root / name for name in names]


def _read_map(root: Path, path: Path) -> None:
    kind: Any = {"depth.png": DepthPng, "mask.png": LabelPng}.get(path.name, MaskPng)
    if path.name == "mask.png":
        pixels(path, None)
        return
    kind(path).read()
    if path.name == "depth.png":
        InstancePng(path).read()


def _write_clouds(root: Path) -> list[Path]:
    points, colors = CHANCE.normal(size=(9, 3)), CHANCE.integers(0, 256, (9, 3), dtype=np.uint8)
    write_cloud(root / "map.ply", points, colors, {"unit": "metre"}, np.full(9, 2), np.full(9, 0.5))
    write_glb(root / "map.glb", points, colors, {"unit": "metre"})
    return [root / "map.ply", root / "map.glb"]


# --- videos -------------------------------------------------------------------------------------------------------


def _write_videos(root: Path) -> list[Path]:
    images = [np.roll(PICTURE, 2 * step, axis=1) for step in range(5)]
    names = {"a.mp4": "mpeg4", "a.mkv": "mpeg4", "a.avi": "mjpeg", "a.ts": "mpeg2video", "b.mov": "mjpeg"}
    return [
        formats.video(root / name, images, codec, "yuvj420p" if codec == "mjpeg" else "yuv420p")
        if name != "a.ts"
        else formats.video(root / name, images, codec, rate=25)
        for name, codec in names.items()
    ]


def _read_video(root: Path, path: Path) -> None:
    info = decoding.probe(path)
    decoding.VideoFrame(path, info.frames - 1).read()
    for _ in decoding.iterate(path):
        pass
    decoding.creation_time(path)


# --- texts --------------------------------------------------------------------------------------------------------

RUN: dict[str, Any] = {
    "data": {"train": [{"kind": "kitti_odometry", "root": "/k", "sequences": ["06"]}], "image_size": [96, 320]},
    "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
    "objective": [{"kind": "photometric"}, {"kind": "smoothness", "weight": 0.001}],
    "training": {"epochs": 2, "batch_size": 4, "schedule": {"kind": "cosine", "warmup": 100}},
}
CAMERA = "width: 640\nheight: 480\nfx: 500.5\nfy: 501.5\ncx: 319.5\ncy: 239.5\nheight_m: 1.5\n"
CAMERAS = {
    "camera.yaml": CAMERA + "lens:\n  kind: brown_conrady\n  coefficients: [-0.3, 0.1, 0.0, 0.0]\n",
    "ros.yaml": "image_width: 640\nimage_height: 480\ncamera_name: a\ncamera_matrix:\n  rows: 3\n  cols: 3\n"
    "  data: [500.5, 0, 319.5, 0, 501.5, 239.5, 0, 0, 1]\ndistortion_model: plumb_bob\n"
    "distortion_coefficients:\n  rows: 1\n  cols: 5\n  data: [-0.3, 0.1, 0.00001, -0.002, 0.01]\n",
    "opencv.yaml": "%YAML:1.0\n---\nimage_width: 640\nimage_height: 480\ncamera_matrix: !!opencv-matrix\n   rows: 3\n"
    "   cols: 3\n   dt: d\n   data: [ 500.5, 0., 319.5, 0., 501.5, 239.5, 0., 0., 1. ]\n"
    "distortion_model: plumb_bob\ndistortion_coefficients: !!opencv-matrix\n   rows: 1\n   cols: 4\n   dt: d\n"
    "   data: [ 0.1, 0.1, 0.0, 0.0 ]\n",
    "opencv.xml": '<?xml version="1.0"?>\n<opencv_storage>\n<image_width>640</image_width>\n<image_height>480'
    '</image_height>\n<camera_matrix type_id="opencv-matrix">\n  <rows>3</rows>\n  <cols>3</cols>\n  <dt>d</dt>\n'
    "  <data>500.5 0. 319.5 0. 501.5 239.5 0. 0. 1.</data></camera_matrix>\n"
    '<distortion_coefficients type_id="opencv-matrix"><rows>1</rows><cols>5</cols><dt>d</dt>'
    "<data>0.1 0.1 0. 0. 0.</data></distortion_coefficients>\n</opencv_storage>\n",
    "kalibr.yaml": "cam0:\n  camera_model: pinhole\n  distortion_coeffs: [-0.02, 0.004, -0.002, 1.0e-05]\n"
    "  distortion_model: equidistant\n  intrinsics: [500.5, 501.5, 319.5, 239.5]\n  resolution: [640, 480]\n",
    "colmap.txt": "# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
    "1 OPENCV 640 480 500.5 501.5 319.5 239.5 0.1 0.1 0.0 0.0\n",
}
FRAMES = "frame,time_s,speed_mps,x,y,z,qx,qy,qz,qw\n" + "".join(
    f"{number:06d},{number / 10},5.5,{number}.0,0.0,0.0,0.0,0.0,0.0,1.0\n" for number in range(6)
)
NMEA = "".join(
    f"${text}*{format(int(np.bitwise_xor.reduce(np.frombuffer(text.encode(), np.uint8))), '02X')}\n"
    for text in (f"GPRMC,12000{i}.00,A,4800.0,N,01100.{i},E,{i + 1}.0,0.0,010126,," for i in range(6))
)
SPEEDS = {
    "speeds.csv": "time_s,speed_kmh\n" + "".join(f"{i / 10},{20 + i}\n" for i in range(8)),
    "phone.csv": '"Zeit";"Geschwindigkeit (km/h)"\n'
    + "".join(f'"2026-01-01 12:00:0{i}";"{i + 20},5"\n' for i in range(8)),
    "places.tsv": "timestamp\tlatitude\tlongitude\n"
    + "".join(f"2026-01-01T12:00:0{i}Z\t48.0000{i}\t11.000{i}\n" for i in range(8)),
    "track.gpx": '<?xml version="1.0"?><gpx version="1.1"><trk><trkseg>'
    + "".join(
        f'<trkpt lat="48.0000{i}" lon="11.0000"><ele>5</ele><time>2026-01-01T12:00:0{i}Z</time></trkpt>'
        for i in range(8)
    )
    + "</trkseg></trk></gpx>",
    "track.nmea": NMEA,
}


def _texts(contents: dict[str, str]) -> Callable[[Path], list[Path]]:
    """Return a function that writes files of text."""

    def write(root: Path) -> list[Path]:
        for name, content in contents.items():
            (root / name).write_text(content)
        return [root / name for name in contents]

    return write


def _write_clip(root: Path) -> list[Path]:
    (root / "frames").mkdir()
    for number in range(6):
        Image.fromarray(PICTURE).save(root / "frames" / f"{number:06d}.png")
    (root / "camera.yaml").write_text("width: 32\nheight: 24\nfx: 30\nfy: 30\ncx: 15.5\ncy: 11.5\n")
    (root / "frames.csv").write_text(FRAMES)
    (root / "points.csv").write_text("frame,u,v,metres\n000000,4,5,2.5\n000001,6.5,7,3\n")
    (root / "split.txt").write_text("# made by hand\nfolder/a 000001\nfolder/a 000002\n")
    return [root / "frames.csv", root / "frames.csv", root / "points.csv", root / "split.txt"]


def _read_clip(root: Path, path: Path) -> None:
    if path.name == "split.txt":
        read_lines(path)
    elif path.name == "points.csv":
        read_points(path, [read_clip(root)])
    else:
        read_frames(path)


# --- arrays and networks ------------------------------------------------------------------------------------------


def _write_arrays(root: Path) -> list[Path]:
    points = CHANCE.normal(size=(20, 3))
    np.savez(root / "scan.npz", points=points, origin=np.zeros(3))
    np.savez_compressed(root / "scan2.npz", points=points.astype(np.float32))
    depth: dict[str, Any] = {"depth": np.ones((8, 8), np.float32), "metric": True, "scale_source": "speed"}
    np.savez_compressed(root / "depth.npz", **depth)
    return [root / "scan.npz", root / "scan2.npz", root / "depth.npz"]


def _read_array(root: Path, path: Path) -> None:
    if path.name == "depth.npz":
        read_depth(path)
    else:
        PointsNpz(path).read()
        _ = PointsNpz(path).origin


def _write_checkpoint(root: Path) -> list[Path]:
    meta = described(step=7, scores={"abs_rel": 0.1})
    weights = {"depth.weight": torch.arange(6.0).view(2, 3), "depth.count": torch.tensor(3)}
    checkpoint.write(root / "best", checkpoint.Checkpoint(parse_run(RUN, "test"), meta, weights))
    return [root / "best" / name for name in ("weights.safetensors", "run.yaml", "meta.json")]


def _write_state(root: Path) -> list[Path]:
    network = torch.nn.Linear(2, 3)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(2)).sum().backward()
    optimizer.step()
    content = {"epoch": 1, "state_dict": network.state_dict(), "optimizer_states": [optimizer.state_dict()]}
    torch.save(content, root / "trainer.ckpt")
    return [root / "trainer.ckpt"]


def _write_foreign(root: Path) -> list[Path]:
    content = {"epoch": 1, "state_dict": torch.nn.Linear(2, 3).state_dict()}
    torch.save(content, root / "a.ckpt")
    torch.save(content, root / "old.ckpt", _use_new_zipfile_serialization=False)
    torch.save(content["state_dict"], root / "weights.pth")
    return [root / "a.ckpt", root / "old.ckpt", root / "weights.pth"]


def _read_foreign(root: Path, path: Path) -> None:
    (read_weights if path.suffix == ".pth" else read_pickle)(path)


def _write_hub(root: Path) -> list[Path]:
    config = {"model_type": "glpn", "hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "architectures": ["A"]}
    (root / "config.json").write_text(json.dumps(config))
    (root / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5] * 3}))
    return [root / "config.json", root / "preprocessor_config.json"]


def _read_hub(root: Path, path: Path) -> None:
    read_config(str(root))
    read_normalization(str(root))


def _write_onnx(root: Path) -> list[Path]:
    import onnx
    from onnx import TensorProto, helper

    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 32, 64])
        for name, channels in (("image", 3), ("inv_depth", 3))
    ]
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["inv_depth"])], "depth", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    meta = json.loads((_write_checkpoint(root)[0].parent / "meta.json").read_text())
    record = ExportRecord(
        part="depth",
        packdepth="0.1.0",
        network="packnet",
        run_hash="0" * 12,
        image_size=(32, 64),
        network_size=(32, 64),
        batch=1,
        input="float",
        precision="32",
        metric=True,
        scale="none",
        license="none",
        meta=meta,
    )
    helper.set_model_props(model, {KEY: record.model_dump_json()})
    onnx.save(model, root / "model.onnx")
    return [root / "model.onnx"]


# --- data sets ----------------------------------------------------------------------------------------------------


def _write_dgp(root: Path) -> list[Path]:
    scene = root / "000001"
    for folder in ("rgb/CAMERA_01", "point_cloud/LIDAR", "calibration"):
        (scene / folder).mkdir(parents=True)
    turn = {"qw": 1.0}
    data: list[dict[str, Any]] = []
    samples = []
    for number in range(3):
        stamp = f"2019-05-15T00:38:5{number}.203752Z"
        pose = {"translation": {"x": float(number)}, "rotation": turn}
        image = {"filename": f"rgb/CAMERA_01/{number}.png", "height": 24, "width": 32, "pose": pose}
        cloud = {"filename": f"point_cloud/LIDAR/{number}.npz", "pose": pose}
        for key, name, datum in (("C", "CAMERA_01", {"image": image}), ("L", "LIDAR", {"point_cloud": cloud})):
            data.append({"key": f"{key}{number}", "id": {"name": name, "timestamp": stamp}, "datum": datum})
        samples.append({"calibration_key": "c", "datum_keys": [f"C{number}", f"L{number}"]})
        Image.fromarray(PICTURE).save(scene / f"rgb/CAMERA_01/{number}.png")
        np.savez(scene / f"point_cloud/LIDAR/{number}.npz", data=np.ones((4, 4)))
    camera = {"fx": 30.0, "fy": 30.0, "cx": 15.5, "cy": 11.5}
    contents = {
        root / "ddad.json": {"scene_splits": {"0": {"filenames": ["000001/scene_a.json"]}}},
        scene / "scene_a.json": {"samples": samples, "data": data},
        scene / "calibration" / "c.json": {
            "names": ["CAMERA_01", "LIDAR"],
            "intrinsics": [camera, {}],
            "extrinsics": [{"rotation": turn}] * 2,
        },
    }
    for path, content in contents.items():
        path.write_text(json.dumps(content))
    return list(contents)


def _read_dgp(root: Path, path: Path) -> None:
    for clip in Ddad(kind="ddad", root=root / "ddad.json").clips():
        for frame in clip.frames:
            assert root in frame.image.path.resolve().parents  # nothing outside of the data set is read


def _write_rgbd(root: Path) -> list[Path]:
    for folder in ("rgb", "depth"):
        (root / folder).mkdir()
    for number in range(3):
        Image.fromarray(PICTURE).save(root / "rgb" / f"{number}.png")
        Image.fromarray(PICTURE[..., 0].astype(np.uint16)).save(root / "depth" / f"{number}.png")
    for name in ("rgb", "depth"):
        (root / f"{name}.txt").write_text("# list\n" + "".join(f"{i}.5 {name}/{i}.png\n" for i in range(3)))
    (root / "groundtruth.txt").write_text("".join(f"{i}.5 {i}.0 0 0 0 0 0 1\n" for i in range(3)))
    (root / "camera.yaml").write_text("width: 32\nheight: 24\nfx: 30\nfy: 30\ncx: 15.5\ncy: 11.5\n")
    return [root / f"{name}.txt" for name in ("rgb", "depth", "groundtruth")]


def _read_rgbd(root: Path, path: Path) -> None:
    for clip in Rgbd(kind="rgbd", root=root, camera=root / "camera.yaml", partial=True).clips():
        for frame in clip.frames:
            assert root in frame.image.path.resolve().parents


def _bags() -> ModuleType:
    """Import the writer of recordings of ROS, which needs the extra ros."""
    import bags

    return bags


def _write_bags(root: Path) -> list[Path]:
    bags = _bags()

    def fill(bag: Any) -> None:
        bag.info("/camera/camera_info")
        bag.info("/front/camera_info")
        for number in range(3):
            bag.image("/camera/image_raw", bags.START + number * 10**8)
            bag.compressed("/front/image/compressed", bags.START + number * 10**8)

    paths = [
        bags.write_bag(kind, root / kind, fill) for kind in ("ros1", "ros2-sqlite3", "ros2-mcap") if _made(root / kind)
    ]
    return [file for path in paths for file in ([path] if path.is_file() else sorted(path.iterdir()))]


def _made(folder: Path) -> bool:
    folder.mkdir()
    return True


def _read_bag(root: Path, path: Path) -> None:
    for topic in ("/camera/image_raw", "/front/image/compressed"):
        for clip in open_clips(path if path.suffix == ".bag" else path.parent, "rosbag", (f"image={topic}",)):
            for frame in clip.frames:
                frame.image.read()


READERS: dict[str, Reader] = {
    "images": Reader(_write_images, _read_image),
    "exif": Reader(_write_exif, _read_exif),
    "maps": Reader(_write_maps, _read_map),
    "clouds": Reader(_write_clouds, lambda _, path: read_cloud(path)),
    "video": Reader(_write_videos, _read_video),
    "run": Reader(
        _texts({"run.yaml": json.dumps(RUN), "run2.yaml": yaml.safe_dump(RUN)}), lambda _, path: load_run(path)
    ),
    "protocol": Reader(_texts({"yard.yaml": "truth: any\ncap: 30\n"}), lambda _, path: read_protocol(path)),
    "camera": Reader(_texts(CAMERAS), lambda _, path: read_camera(path)),
    "clip": Reader(_write_clip, _read_clip),
    "speeds": Reader(_texts(SPEEDS), lambda _, path: read_track(path)),
    "npz": Reader(_write_arrays, _read_array),
    "checkpoint": Reader(_write_checkpoint, lambda root, _: checkpoint.read(root / "best")),
    "state": Reader(_write_state, lambda _, path: read_state(path)),
    "foreign": Reader(_write_foreign, _read_foreign),
    "hub": Reader(_write_hub, _read_hub),
    "onnx": Reader(_write_onnx, lambda _, path: load_exported(path)),
    "dgp": Reader(_write_dgp, _read_dgp),
    "rgbd": Reader(_write_rgbd, _read_rgbd),
    "bag": Reader(_write_bags, _read_bag),
}
"""All readers by name."""
