"""Files that hold predictions. Each appears whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from packdepth.files import replacing
from packdepth.geometry.camera import Camera
from packdepth.records import Prediction

BT601 = 6  # the number, in a video, of the color matrix that FFmpeg converts RGB with; players guess without it


def write_depth_npz(path: Path, prediction: Prediction) -> None:
    """Depth as an npz that `np.load` reads without pickle.

    Holds `depth` [H, W] float32, z-depth, in metres where `metric` (bool) is true; `scale_source` (text), where the
    scale comes from; and, if the camera is known, `intrinsics`: K [3, 3] float64, in pixels of this depth map.
    """
    arrays: dict[str, Any] = {
        "depth": prediction.depth,
        "metric": prediction.metric,
        "scale_source": prediction.scale_source,
    }
    if prediction.camera is not None:
        arrays["intrinsics"] = prediction.camera.matrix().numpy()
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)


def write_cloud(path: Path, depth: np.ndarray, image: np.ndarray, camera: Camera) -> None:
    """A colored point cloud as binary PLY: one vertex a pixel with depth, row by row.

    Args:
        path: of the file.
        depth: [H, W] z-depth; the vertices are in its unit, in the camera's frame (x right, y down, z forward).
        image: [H, W, 3] uint8, RGB.
        camera: of the size of both.
    """
    points, colors = cloud_points(depth, image, camera)
    layout = [(axis, "<f4") for axis in ("x", "y", "z")] + [(color, "u1") for color in ("red", "green", "blue")]
    vertices = np.empty(len(points), dtype=layout)
    for (name, _), column in zip(layout, [*points.T, *colors.T], strict=True):
        vertices[name] = column
    properties = [f"property {'float' if kind == '<f4' else 'uchar'} {name}" for name, kind in layout]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}", *properties, "end_header"]
    with replacing(path) as temporary:
        temporary.write_bytes("\n".join([*header, ""]).encode() + vertices.tobytes())


def cloud_points(depth: np.ndarray, image: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 3] in the camera's frame and their colors [N, 3], of the pixels with depth, row by row."""
    points = camera.unproject(torch.from_numpy(depth)[None, None])[0].permute(1, 2, 0).numpy()
    known = np.isfinite(depth) & (depth > 0)
    return points[known], image[known]


@contextmanager
def video_writer(path: Path, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that appends a frame [H, W, 3] uint8, RGB, to an mp4 (H.264, yuv420p) of `fps` frames per second.

    The file appears when the block ends well. H.264 wants even sizes: of an odd one, the last row or column is cut.
    """
    with replacing(path) as temporary, av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options={"crf": "20"})
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = BT601

        def append(frame: np.ndarray) -> None:
            height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
            if not stream.codec_context.is_open:
                stream.height, stream.width = height, width
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            container.mux(stream.encode(picture))

        yield append
        container.mux(stream.encode())


def above(image: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Image over depth colors, both [H, W, 3]; side by side where the image is taller than wide."""
    height, width = image.shape[:2]
    return np.concatenate([image, colors], axis=0 if width >= height else 1)
