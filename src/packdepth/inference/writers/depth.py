"""Depth as files: arrays of numpy, and depth maps that other programs read."""

from __future__ import annotations

from typing import ClassVar

from packdepth.depth_files import write_confidence_png
from packdepth.inference.writers import FrameWriter, Writer
from packdepth.records import Prediction


class DepthWriter(Writer):
    """Writer of `depth/FRAME.npz` and, if depth is metric, `depth/FRAME.png` (see `Prediction.save`)."""

    kind: ClassVar[str] = "depth"
    content: ClassVar[str] = "depth as npz and 16-bit png"

    def append(self, name: str, prediction: Prediction) -> None:
        """Write the files of a frame.

        Args:
            name: the name of the frame.
            prediction: its prediction.
        """
        prediction.save(self.path / f"{name}.npz")
        png = self.path / f"{name}.png"
        if prediction.metric:
            prediction.save(png)
        else:
            png.unlink(missing_ok=True)  # of an earlier prediction, which was metric

    def summary(self, count: int) -> str:
        """Return what was written, for the report.

        Args:
            count: number of frames of the clip.
        """
        text = super().summary(count)
        return text if self.facts.metric else text.replace(" and 16-bit png", " (no 16-bit png, which holds metres)", 1)


class Png16Writer(FrameWriter):
    """Writer of `png16/FRAME.png`: metres x 256 in 16 bits; and of `confidence/FRAME.png` if there is confidence."""

    kind: ClassVar[str] = "png16"
    content: ClassVar[str] = "depth as 16-bit png"
    suffix: ClassVar[str] = ".png"
    needs_metric: ClassVar[bool] = True

    def append(self, name: str, prediction: Prediction) -> None:
        """Write the files of a frame.

        Args:
            name: the name of the frame.
            prediction: its prediction.
        """
        super().append(name, prediction)
        confidence = self.path.parent / "confidence" / f"{name}.png"
        if prediction.confidence is not None:
            write_confidence_png(confidence, prediction.confidence)
        else:
            confidence.unlink(missing_ok=True)  # of an earlier prediction, which had one


class TiffWriter(FrameWriter):
    """Writer of `tiff/FRAME.tiff`: 32-bit floats in one channel."""

    kind: ClassVar[str] = "tiff"
    content: ClassVar[str] = "depth as tiff"
    suffix: ClassVar[str] = ".tiff"


class ExrWriter(FrameWriter):
    """Writer of `exr/FRAME.exr`: 32-bit floats in one channel."""

    kind: ClassVar[str] = "exr"
    content: ClassVar[str] = "depth as exr"
    suffix: ClassVar[str] = ".exr"
