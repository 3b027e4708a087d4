"""Source that reads video files and their cameras."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import PositiveInt

from packdepth.errors import InputError, InputWarning
from packdepth.records import Clip, Frame
from packdepth.sources.base import UncalibratedSource, unread_names
from packdepth.sources.calibrations.find import beside
from packdepth.sources.camera_file import facts_or_guess
from packdepth.sources.decoding import VIDEOS, VideoFrame, VideoInfo, check_one_size, probe
from packdepth.sources.files import by_name, is_clutter, listed
from packdepth.sources.guess import common_guess
from packdepth.sources.proxies import repeated_videos
from packdepth.sources.stills import IMAGES
from packdepth.sources.tracks.read import RECEIVERS, TABLES

CAMERA_MARK = re.compile(
    r"([ _-](front|rear|back|cabin|interior|inside|(left|right)_(repeater|pillar))|(?<=\d)_?p?[fri])$", re.IGNORECASE
)  # ends of names of videos that several cameras of one car record: front, rear, inside (and parked)


class Video(UncalibratedSource):
    """Videos in any format that FFmpeg reads.

    A video should have a camera.yaml. Without one, its camera is a guess, which training can learn (`camera.learn`) or
    replace by a stated field of view (`fov`).
    """

    place: ClassVar[str] = "file"

    kind: Literal["video"] = "video"
    file: Path
    """Video, or a folder that holds only videos and their cameras."""
    camera: Path | None = None
    """Calibration of all videos (docs/how-to/calibration.md). If left out: the file beside each video with its name and
    the suffix .yaml or .xml, or else the one in its folder, such as camera.yaml, if there is one."""
    step: PositiveInt = 1
    """Use every `step`-th frame."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a file has a video's suffix, or a folder holds only such files, their cameras and logs.

        Args:
            path: file or folder.
        """
        if path.is_dir():
            children = [child for child in path.iterdir() if not is_clutter(child)]
            return any(child.suffix.lower() in VIDEOS for child in children) and not unread_names(children, VIDEOS)
        return path.is_file() and path.suffix.lower() in VIDEOS

    @classmethod
    def tries(cls, path: Path) -> bool:
        """Return whether a path is a file, but no image and no log, or a folder that holds videos beside other files.

        FFmpeg may read a file even if its suffix is not in `VIDEOS`.

        Args:
            path: file or folder.
        """
        if path.is_dir():
            return any(child.suffix.lower() in VIDEOS and not is_clutter(child) for child in path.iterdir())
        return path.suffix.lower() not in (*IMAGES, *TABLES, *RECEIVERS)

    def find(self) -> list[Clip]:
        """Return one clip for each video. The names of its frames are their indices in the video."""
        clips = [self._clip(file) for file in videos_at(self.file)]
        _warn_of_several_cameras(self.file, clips)
        return clips

    def _clip(self, file: Path) -> Clip:
        """Make the clip of a video."""
        info = probe(file)
        if info.hidden:
            warnings.warn(
                f"{file}: holds {info.hidden + 1} videos, as a camera with several lenses writes them, and the one "
                f"that players show is read; to read another, write it into a file: ffmpeg -i IN -map 0:v:1 -c copy "
                f"OUT",
                InputWarning,
                stacklevel=2,
            )
        camera_path, expected = self.camera or beside(file), file.with_suffix(".yaml")
        facts = facts_or_guess(camera_path, expected, lambda: common_guess(info.height, info.width, info.pixel_aspect))
        camera = facts["camera"]
        if (info.height, info.width) != (camera.height, camera.width):
            raise InputError(
                f"{file}: is {info.width}x{info.height} pixels, but {camera_path} is for "
                f"{camera.width}x{camera.height}; give the camera of these images"
            )
        if self.step > 1 and (interval := facts.get("interval")) is not None:
            facts["interval"] = interval * self.step
        frames = tuple(
            Frame(name=f"{index:06d}", time=info.times[index], image=VideoFrame(file, index))
            for index in range(0, info.frames, self.step)
        )
        return Clip(
            name=f"video/{file.stem}",
            path=file,
            frames=frames,
            rate=float(info.fps) * info.slowness / self.step,
            corrected=None if info.slowness == 1 else _slow_motion(info),
            **facts,
        )


def _warn_of_several_cameras(path: Path, clips: Sequence[Clip]) -> None:
    """Warn if videos of one moment, by their names, are of several cameras but have the same calibration or guess."""
    moments: dict[str, Clip] = {}
    for clip in clips:
        moment = CAMERA_MARK.sub("", clip.path.stem)
        first = moments.setdefault(moment, clip) if moment != clip.path.stem else clip
        if first is not clip and clip.camera.numbers == first.camera.numbers:
            known = "calibration" if clip.missing_camera is None else "guess of the camera"
            warnings.warn(
                f"{path}: its videos are of several cameras by their names ({first.path.name}, {clip.path.name}), but "
                f"have one {known}; put the videos of each camera into a folder with its calibration",
                InputWarning,
                stacklevel=3,
            )
            return


def _slow_motion(info: VideoInfo) -> str:
    """Return what was corrected in the times of slow motion or of a time lapse."""
    recorded = float(info.fps) * info.slowness
    return (
        f"times: recorded at {recorded:.4g} frames a second, and shown at {float(info.fps):.4g}; its frames have the "
        f"times of the recording"
    )


def check_sizes_of_videos(clips: Sequence[Clip]) -> None:
    """Raise InputError if one of the clips is a video that changes its size, before all its frames are read.

    Args:
        clips: clips of any source.
    """
    for clip in clips:
        first, last = clip.frames[0].image, clip.frames[-1].image
        if isinstance(first, VideoFrame) and isinstance(last, VideoFrame):
            check_one_size(first.path, first.index, last.index)


def videos_at(path: Path) -> list[Path]:
    """Return the videos of a folder, sorted by name; a path that is no folder is returned alone.

    Args:
        path: video or folder. Raises InputError if the folder holds no video. Warns of files that are not read, and of
            videos that only repeat another one.
    """
    if not path.is_dir():
        return [path]
    children = by_name(child for child in path.iterdir() if not is_clutter(child))
    videos = [child for child in children if child.suffix.lower() in VIDEOS]
    if not videos:
        raise InputError(f"{path}: holds no video; give a video, or a folder of them")
    repeated = repeated_videos(videos)
    for copy, original in repeated.items():
        what = "low-resolution copy" if copy.stat().st_size < original.stat().st_size else "copy"
        warnings.warn(f"{copy}: is a {what} of {original.name} and is left out", InputWarning, stacklevel=2)
    videos = [video for video in videos if video not in repeated]
    if others := unread_names(children, VIDEOS):
        warnings.warn(
            f"{path}: packdepth reads its {'video' if len(videos) == 1 else f'{len(videos)} videos'}; left alone: "
            f"{listed(others)}",
            InputWarning,
            stacklevel=2,
        )
    return videos
