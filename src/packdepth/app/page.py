"""The page of the app, made with gradio. It asks nothing of the internet."""

from __future__ import annotations

import contextlib
import io
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

# Before gradio is imported: it would report that it was, and ask for a newer version of itself.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr

from packdepth.app.work import STORED_SECONDS, Dropped, Workshop, distance_at
from packdepth.errors import InputError
from packdepth.live.page import LOOPBACK, check_address
from packdepth.records import Prediction

Result = TypeVar("Result")

WAITING = 8  # people who may wait for a prediction; later ones are told to come back
SESSIONS = 16  # pages whose last prediction is kept: that of a 4K image has 0.2 GB
FONTS = ("system-ui", "sans-serif")  # those of the machine: no font is fetched
SUFFIXES = ["image", "video"]


class AppPage:
    """The server of the app. As a context manager, it serves until the block ends.

    Args:
        workshop: the networks, and the folder that its files are written to.
        host: address to listen at.
        port: port to listen at; 0 for any free one.

    Raises InputError if this address cannot be listened at.
    """

    def __init__(self, workshop: Workshop, host: str = "127.0.0.1", port: int = 7860) -> None:
        check_address(host, port)
        self._workshop, self._host, self._port = workshop, host, port or _free_port(host)
        os.environ["GRADIO_TEMP_DIR"] = str(workshop.folder)  # of all that is uploaded and served; read by components
        self._blocks = _blocks(workshop)

    @property
    def url(self) -> str:
        """The address of the page on this machine."""
        return f"http://{'127.0.0.1' if self._host in ('', '0.0.0.0') else self._host}:{self._port}/"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the page."""
        return self._host in LOOPBACK

    def __enter__(self) -> AppPage:
        """Begin to serve."""
        limit = self._workshop.options.max_megabytes
        with contextlib.redirect_stdout(io.StringIO()):
            self._blocks.queue(max_size=WAITING, default_concurrency_limit=1).launch(
                server_name=self._host,
                server_port=self._port,
                share=False,
                quiet=True,
                show_error=True,
                prevent_thread_lock=True,
                max_file_size=round(limit * 1e6),
                footer_links=[],
                ssr_mode=False,
                allowed_paths=[],
                state_session_capacity=SESSIONS,
                theme=gr.themes.Default(font=list(FONTS), font_mono=["monospace"]),
            )
        return self

    def __exit__(self, *error: object) -> None:
        """End the server."""
        with contextlib.redirect_stdout(io.StringIO()):
            self._blocks.close(verbose=False)


def _blocks(workshop: Workshop) -> gr.Blocks:
    """Return the page."""
    limits = workshop.options
    blocks: gr.Blocks
    with gr.Blocks(title="packdepth", analytics_enabled=False, delete_cache=(STORED_SECONDS, STORED_SECONDS)) as blocks:
        gr.Markdown("# packdepth\nDrop an image or a video: its depth is computed on this machine, and stays here.")
        dropped, prediction = gr.State(None), gr.State(None)
        with gr.Row():
            with gr.Column(scale=1):
                file = gr.File(label=f"image or video, up to {limits.max_megabytes:g} MB", file_types=SUFFIXES)
                checkpoint = gr.Dropdown(workshop.names, value=workshop.names[0], label="checkpoint")
                fov = gr.Number(0, label="field of view in degrees; 0 for the camera of the training", minimum=0)
                flip = gr.Checkbox(
                    False,
                    label="fuse with the mirrored image, in twice the time",
                    info=workshop.about_flip(workshop.names[0]),
                )
                frame = gr.Slider(0, 1, 0, step=1, label="frame", visible=False)
                whole = gr.Button("Make a video of its depth", visible=False)
            with gr.Column(scale=2):
                words = gr.Markdown("")
                image = gr.Image(label="image", interactive=False, buttons=[], visible=False)
                picture = gr.Image(label="depth", interactive=False, buttons=["fullscreen"], visible=False)
                distance = gr.Markdown("")
                cloud = gr.HTML(visible=False, padding=False)
                downloads = gr.File(label="download", file_count="multiple", interactive=False, visible=False)
                video = gr.Video(label="depth of the video", visible=False)

        def opened(path: str | None, fov: float | None) -> tuple[Any, ...]:
            """Open what was dropped."""
            if not path:
                return None, gr.Slider(visible=False), gr.Button(visible=False)
            found = said(lambda: workshop.open(Path(path), fov or None))
            last = len(found.clip.frames) - 1
            return found, gr.Slider(0, max(last, 1), 0, visible=last > 0), gr.Button(visible=last > 0)

        def predicted(name: str, dropped: Dropped | None, index: float, flip: bool) -> tuple[Any, ...]:
            """Predict a frame."""
            if dropped is None:
                return (
                    None,
                    "",
                    *(element(visible=False) for element in (gr.Image, gr.Image)),
                    "",
                    *(element(None, visible=False) for element in (gr.HTML, gr.File)),
                )
            depth = said(lambda: workshop.depth(name, dropped, int(index), flip))
            answer = said(lambda: workshop.answer(name, dropped, int(index), depth))
            return (
                depth,
                answer.words,
                gr.Image(depth.image, visible=True),
                gr.Image(answer.picture, visible=True),
                "Click on a picture for the distance of a point; drag the points to turn them.",
                gr.HTML(answer.cloud, visible=answer.cloud is not None),
                gr.File([str(path) for path in answer.downloads], visible=True),
            )

        def clicked(depth: Prediction | None, event: gr.SelectData) -> str:
            """Say how far the point is that was clicked."""
            x, y = event.index
            return "" if depth is None else f"**{distance_at(depth, int(x), int(y))}**"

        def filmed(path: str | None, name: str, fov: float | None, flip: bool) -> Any:
            """Make the video."""
            if not path:
                return None
            return gr.Video(str(said(lambda: workshop.video(name, Path(path), fov or None, flip))), visible=True)

        def chosen(name: str) -> Any:
            """Say what fusion with the mirrored image does to the predictions of the checkpoint that was chosen."""
            return gr.Checkbox(info=said(lambda: workshop.about_flip(name)))

        given = [checkpoint, dropped, frame, flip]
        shown = [prediction, words, image, picture, distance, cloud, downloads]
        for change in (file.change, fov.submit):
            change(opened, [file, fov], [dropped, frame, whole], api_name="open").then(
                predicted, given, shown, api_name="predict"
            )
        for element in (checkpoint.input, flip.input, frame.release):
            element(predicted, given, shown, api_visibility="private")
        checkpoint.input(chosen, [checkpoint], [flip], api_visibility="private")
        for shown_picture in (image, picture):
            shown_picture.select(clicked, [prediction], [distance], api_visibility="private")
        whole.click(filmed, [file, checkpoint, fov, flip], [video], api_name="video")
    return blocks


def said(work: Callable[[], Result]) -> Result:
    """Return the result of work; what is wrong with the input is said on the page.

    Args:
        work: the work.
    """
    try:
        return work()
    except InputError as error:
        raise gr.Error(str(error), print_exception=False) from None


def _free_port(host: str) -> int:
    """Return a port that is free at an address."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        server.bind((host, 0))
        return int(server.getsockname()[1])
