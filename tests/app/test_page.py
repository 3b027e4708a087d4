"""The page of the app: by its interface for programs, and in a browser. CI installs no gradio, which has 190 MB."""

from __future__ import annotations

import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gradio", reason="the extra `app` is not installed")

import gradio_client
from browser import CHROMIUM, browser
from interrupting import Interrupting

from packdepth.app.page import AppPage
from packdepth.app.work import Workshop
from packdepth.cli import main
from packdepth.inference.options import AppOptions


def test_a_program_uploads_an_image_and_downloads_its_depth(workshop: Workshop, image: Path) -> None:
    (name,) = workshop.names
    dropped = workshop.open(image, fov=77.0)
    expected = workshop.depth(name, dropped, 0)
    with AppPage(workshop, port=0) as page:
        client = gradio_client.Client(page.url, verbose=False)
        client.predict(gradio_client.handle_file(image), 77.0, api_name="/open")
        *_, files = client.predict(name, 0, False, api_name="/predict")
        listed = files["value"] if isinstance(files, dict) else files
        with np.load(listed[0]) as saved:
            assert np.array_equal(saved["depth"], expected.depth)
        for path in ("/etc/passwd", str(Path(name) / "meta.json")):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(f"{page.url}gradio_api/file={path}")


def test_ctrl_c_ends_it_cleanly_and_leaves_nothing(
    checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    printed = Interrupting("Ctrl-C ends\n")
    monkeypatch.setattr(sys, "stdout", printed)
    assert main(["app", str(checkpoint_folder), "--port", "0"]) == 0
    assert re.fullmatch(r"open http://127\.0\.0\.1:\d+/ in a browser; Ctrl-C ends\n", printed.getvalue())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_shows_what_fusion_does_to_the_checkpoint_that_is_chosen(
    checkpoint_folder: Path, unmirrored: Path, tmp_path: Path
) -> None:
    workshop = Workshop([checkpoint_folder, unmirrored], tmp_path / "served", AppOptions())
    discouraged = workshop.about_flip(str(unmirrored))
    with AppPage(workshop, port=0) as page, browser(tmp_path / "profile") as tab:
        tab.open(page.url, 1280, 1400)
        tab.wait("document.body.innerText.includes('better at the borders')")
        assert discouraged not in tab.run("document.body.innerText")
        box = "document.querySelector('input[aria-label=checkpoint]')"
        option = "document.querySelectorAll('[role=option]')"
        tab.click(*tab.run(f"[{box}.getBoundingClientRect().x + 5, {box}.getBoundingClientRect().y + 5]"))
        tab.wait(f"{option}.length == 2")
        tab.click(*tab.run(f"[{option}[1].getBoundingClientRect().x + 5, {option}[1].getBoundingClientRect().y + 5]"))
        tab.wait(lambda: discouraged in tab.run("document.body.innerText"))
        assert "better at the borders" not in tab.run("document.body.innerText")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_uploads_clicks_and_downloads_and_asks_nobody_else(
    workshop: Workshop, image: Path, tmp_path: Path
) -> None:
    with AppPage(workshop, port=0) as page, browser(tmp_path / "profile") as tab:
        tab.open(page.url, 1280, 1400)
        tab.wait("document.querySelector('input[type=file]') !== null")
        tab.give_file("input[type=file]", image)
        pictures = "[...document.querySelectorAll('img')].filter(each => each.naturalWidth > 90)"
        tab.wait(f"{pictures}.length == 2")
        place = f"{pictures}[1].getBoundingClientRect()"
        x, y, height = tab.run(f"[{place}.x, {place}.y, {place}.height]")
        tab.click(x + 20, y + height / 2)
        tab.wait("/Pixel \\(\\d+, \\d+\\): \\d+\\.\\d\\d m ahead/.test(document.body.innerText)")
        size = tab.run(
            "fetch([...document.querySelectorAll('a[download]')].find(each => each.href.endsWith('.npz')).href)"
            ".then(answer => answer.arrayBuffer()).then(content => content.byteLength)"
        )
        assert size == max(path.stat().st_size for path in workshop.folder.rglob("*.npz"))
        assert not [each for each in tab.requests if not each.startswith((page.url, "blob:", "data:", "about:"))]
