"""Options of what predictions are written to, and of live prediction. Their fields are options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packdepth.color import Colormap
from packdepth.errors import InputError, check_confidence, check_length

RECONNECT_SECONDS = 30.0  # for which a broken stream is opened again: a camera boots in less; chosen


@dataclass(frozen=True)
class PointOptions:
    """Options of point clouds and maps.

    Args:
        max_depth: metres; farther points are left out of clouds and maps (depth files keep every pixel). A map ends at
            the median depth of each frame if this is left out, a cloud of a recording at 80 metres.
        thin: metres; points within a cube of this side become one, their mean. A map has cubes of 1/200 of the median
            depth if this is left out.
        all_points: keep the points that are left out as unreliable: sky, what is far, edges between near and far.
        min_confidence: from 0 to 1; points that are less sure are left out of clouds and maps. It needs a checkpoint
            that was trained with `uncertainty: true`.

    >>> PointOptions(thin=0.2).check()
    """

    max_depth: float | None = None
    thin: float | None = None
    all_points: bool = False
    min_confidence: float | None = None

    def check(self) -> None:
        """Raise InputError, which names the option, for a length that is not positive or a confidence beyond [0, 1]."""
        if self.min_confidence is not None:
            check_confidence("--min-confidence", self.min_confidence)
        for option, value in (("max-depth", self.max_depth), ("thin", self.thin)):
            if value is not None:
                check_length(f"--{option}", value, "of metres")

    def check_confidence(self, has_confidence: bool, checkpoint: Path) -> None:
        """Raise InputError if points are to be cut by confidence, but a checkpoint predicts none.

        Args:
            has_confidence: whether it predicts confidence.
            checkpoint: the checkpoint, for the message.
        """
        if self.min_confidence is not None and not has_confidence:
            raise InputError(
                f"--min-confidence {self.min_confidence:g}: {checkpoint} predicts no confidence; leave it out, or "
                f"train with networks.depth.uncertainty: true"
            )


@dataclass(frozen=True)
class PictureOptions:
    """Options of pictures and videos.

    Args:
        colormap: colors of depth.
        beside: show the image beside its depth; a video shows wide images above it if this is left out.
        plain: leave out the color bar, so that pictures have the size of the images.

    >>> PictureOptions().colormap
    'dusk'
    """

    colormap: Colormap = "dusk"
    beside: bool = False
    plain: bool = False


@dataclass(frozen=True)
class PageOptions:
    """Options of the page.

    Args:
        page: serve a page with the newest image beside its depth.
        host: address that the page listens at; 0.0.0.0 for all of this machine: anybody in the network then sees it.
        port: port of the page; 0 for any free one.

    >>> PageOptions().host
    '127.0.0.1'
    """

    page: bool = True
    host: str = "127.0.0.1"
    port: int = 8000


@dataclass(frozen=True)
class LiveOptions:
    """Options of live prediction.

    Args:
        smooth: smooth depth over time in a way that follows the motion; without it, each frame is predicted alone.
        reconnect: seconds for which a stream that breaks is opened again; inf for ever.
        seconds: seconds after which to end; if left out, at the end of the stream, or by Ctrl-C.
        colormap: colors of depth.

    >>> LiveOptions().smooth
    False
    """

    smooth: bool = False
    reconnect: float = RECONNECT_SECONDS
    seconds: float | None = None
    colormap: Colormap = "dusk"


@dataclass(frozen=True)
class ViewOptions:
    """Options of what is shown.

    Args:
        camera: calibration of the images (docs/how-to/calibration.md); if left out, the one beside them, or the data's.
        fov: in place of a camera.yaml: degrees from the left border of the images to the right one.
        flip: fuse each prediction with that of the mirrored image: better at the borders, twice the time.
        segmentation: network whose classes can be shown: a checkpoint of packdepth semantics train, or a model of
            transformers; if left out, that of the checkpoint, or the label maps of the clip.
        kind: kind of the data, such as kitti_raw; if left out, it is recognized.
        runtime: what computes a file that export wrote; if left out, the first that takes it and is installed.

    >>> ViewOptions().flip
    False
    """

    camera: Path | None = None
    fov: float | None = None
    flip: bool = False
    segmentation: str | None = None
    kind: str | None = None
    runtime: str | None = None


@dataclass(frozen=True)
class AppOptions:
    """Limits of the app.

    Args:
        max_megabytes: size of a file, in MB, up to which it is taken.
        max_frames: frames of a video, from its beginning, that can be shown and predicted.

    >>> AppOptions().max_frames
    600
    """

    max_megabytes: float = 200.0
    max_frames: int = 600


DepthEncoding = Literal["32FC1", "16UC1"]
"""Encoding of depth images of ROS (REP 118): floats in metres, or whole millimetres in 16 bits."""


@dataclass(frozen=True)
class RecordingOptions:
    """Options of recordings of ROS.

    Args:
        depth_encoding: encoding of depth images: 32FC1, metres, or 16UC1, millimetres up to 65.535 m.
        cut_depth: what clouds leave out is unknown in depth images, too: NaN, or 0 in 16UC1.

    >>> RecordingOptions().depth_encoding
    '32FC1'
    """

    depth_encoding: DepthEncoding = "32FC1"
    cut_depth: bool = False


POINTS, PICTURES, PAGE, LIVE = PointOptions(), PictureOptions(), PageOptions(), LiveOptions()
RECORDING, VIEW, APP = RecordingOptions(), ViewOptions(), AppOptions()
"""The default options."""

SAVED = "depth,color"
"""The kinds of files that are written by default, as --save takes them."""
