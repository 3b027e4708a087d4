"""The command `packdepth app`. Importing this takes none of the extra."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from packdepth.app.work import Workshop
from packdepth.errors import InputError, check_least
from packdepth.inference.live import ended_by_signals
from packdepth.inference.options import APP, AppOptions


def app(
    checkpoints: Sequence[Path],
    host: str = "127.0.0.1",
    port: int = 7860,
    options: AppOptions = APP,
    runtime: str | None = None,
) -> None:
    """Serve a page that predicts the depth of what is dropped into it, until Ctrl-C. Its files are then removed.

    Args:
        checkpoints: checkpoints and exported files that can be chosen.
        host: address that the page listens at.
        port: port of the page; 0 for any free one.
        options: limits.
        runtime: what computes exported files, as in `load`.

    Raises InputError if a checkpoint cannot be read, or if the extra `app` is not installed.
    """
    check_least("max_frames", options.max_frames, 1)
    if importlib.util.find_spec("gradio") is None:
        raise InputError("the app needs gradio: pip install 'packdepth[app]'")
    ended = threading.Event()
    with tempfile.TemporaryDirectory(prefix="packdepth-app-") as folder:
        workshop = Workshop(checkpoints, Path(folder), options, runtime)
        from packdepth.app.page import AppPage

        with AppPage(workshop, host, port) as page, ended_by_signals(ended.set):
            print(f"open {page.url} in a browser; Ctrl-C ends", flush=True)
            if not page.is_local:
                print("anybody in the network can use this page; --host 127.0.0.1 keeps it to you", file=sys.stderr)
            ended.wait()
