"""A video file and its camera."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import PositiveInt

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Clip, Frame
from packdepth.sources.base import Source
from packdepth.sources.camera_file import read_camera
from packdepth.sources.decoding import VideoFrame, probe

VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")
GUESSED_FOV = 60.0  # degrees across, of a camera that nobody has measured


class Video(Source):
    """A video, in any format that FFmpeg reads, with the camera that took it; one without is for learning it."""

    place: ClassVar[str] = "file"

    kind: Literal["video"]
    file: Path
    """The video."""
    camera: Path | None = None
    """Its camera.yaml; if left out, the file beside the video with the suffix .yaml, if there is one."""
    step: PositiveInt = 1
    """Use every `step`-th frame."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether a file has a suffix that videos have."""
        return path.is_file() and path.suffix.lower() in VIDEOS

    def find(self) -> list[Clip]:
        """The one clip; its frames are named by their numbers in the video."""
        info = probe(self.file)
        camera_path = self.camera or self.file.with_suffix(".yaml")
        unknown = self.camera is None and not camera_path.exists()
        camera_file = None if unknown else read_camera(camera_path)
        camera = camera_file.camera if camera_file else Camera.from_fov(GUESSED_FOV, info.width, info.height)
        if (info.height, info.width) != (camera.height, camera.width):
            raise InputError(
                f"{self.file}: is {info.width}x{info.height} pixels, but {camera_path} is for "
                f"{camera.width}x{camera.height}; give the camera of this video"
            )
        frames = tuple(
            Frame(name=f"{index:06d}", time=info.times[index], image=VideoFrame(self.file, index))
            for index in range(0, info.frames, self.step)
        )
        return [
            Clip(
                name=f"video/{self.file.stem}",
                path=self.file,
                camera=camera,
                frames=frames,
                baseline=camera_file.baseline if camera_file else None,
                independent=camera_file.independent if camera_file else False,
                missing_camera=camera_path if unknown else None,
            )
        ]
