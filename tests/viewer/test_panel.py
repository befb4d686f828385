"""The viewer in a browser: what a click changes in the picture, and what can be downloaded."""

import io
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pygltflib import GLTF2

from meshrec import Camera, MissingDependency, Person
from meshrec.cli import main
from meshrec.files.videos import VideoWriter
from meshrec.jobs.result_folders import read_result_folder
from meshrec.jobs.results import draw_overlay
from meshrec.reconstruct.track import Track
from meshrec.render.overlay import encode_png
from meshrec.viewer.panel import Viewer, ViewSettings

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
WINDOW = {"width": 760, "height": 420}
PATIENCE = 60_000  # milliseconds; a browser that draws without a GPU is slow
GREEN, RED, BLUE, PURPLE = (40, 160, 60), (200, 60, 40), (40, 60, 200), (160, 40, 160)
SOFTWARE = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@pytest.fixture
def result_files_conform_to_their_schemas():
    """Not here: the records hold only what a viewer reads."""


@pytest.fixture
def result(tmp_path, body):
    """The folder of a photo with a person in front of a green wall."""
    turned = np.tile(np.eye(3), (24, 1, 1))
    turned[0] = np.diag([1.0, -1.0, -1.0])
    camera = Camera(400.0, size=(320, 240))
    deviation = np.linspace(0.01, 0.3, 24)
    person = Person(body, np.zeros(10), turned, np.array([0, 0.2, 4]), camera, joint_deviation=deviation)
    folder = tmp_path / "wall.jpg"
    folder.mkdir()
    person.save(folder / "person_0.json")
    person.save(folder / "scene.glb")
    wall = np.full((240, 320, 3), GREEN, np.uint8)
    (folder / "overlay.png").write_bytes(encode_png(draw_overlay(wall, [person])))
    record = {"schema": "meshrec.photo", "version": 1, "people": ["person_0.json"], "notes": []}
    (folder / "photo.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def clips_of_cameras(tmp_path, body):
    """The folder of clips of two cameras, whose pictures are green and then red, and blue and then purple, while a
    person walks. The second camera's overlay begins two frames before the results."""
    folder = tmp_path / "out"
    folder.mkdir()
    turned = np.tile(np.eye(3), (4, 24, 1, 1))
    turned[:, 0] = np.diag([1.0, -1.0, -1.0])
    places = np.linspace((-0.3, 0.2, 4.0), (0.3, 0.2, 4.0), 4)
    Track(body, np.zeros(10), turned, places, np.arange(4), np.arange(4) / 10, 10.0).save(folder / "track_0.npz")
    entries = []
    for name, angle, colors, begin in (
        ("left", 0.6, [GREEN] * 2 + [RED] * 2, 0.0),
        ("right", -0.6, [BLUE] * 4 + [PURPLE] * 2, -0.2),
    ):
        turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
        place = np.array([0, 0.2, 4]) - 4 * turn[2]
        entry = {"name": name, "focal": [400, 400], "center": [159.5, 119.5], "size": [320, 240]}
        entry |= {"rotation": turn.tolist(), "translation": (-turn @ place).tolist(), "overlay_begin": begin}
        entries.append(entry)
        with VideoWriter(folder / f"overlay_{name}.mp4", (480, 240), 10) as video:
            for color in colors:
                video.write(np.full((240, 480, 3), color, np.uint8))
    record = {"schema": "meshrec.cameras", "version": 1, "notes": [], "axes": "", "cameras": entries}
    (folder / "cameras.json").write_text(json.dumps(record | {"people": [{"file": "track_0.npz"}]}))
    return folder


@contextmanager
def opened(folder: Path) -> Iterator[Any]:
    """The page of a viewer of a result in a browser."""
    pytest.importorskip("viser", reason="needs viser")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright to look at viser")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    viewer = Viewer([read_result_folder(folder)], ViewSettings(port=18080))
    threading.Thread(target=viewer.serve, daemon=True).start()
    try:
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE)
            page = browser.new_page(viewport=WINDOW)
            page.set_default_timeout(PATIENCE)
            page.goto(viewer.address)
            page.get_by_role("button", name="screenshot").wait_for()
            yield page
            browser.close()
    finally:
        viewer.stop()


def share(page, color: tuple[int, int, int], off: int = 40) -> float:
    """Share of the window in pixels near a colour."""
    with Image.open(io.BytesIO(page.screenshot(timeout=PATIENCE))) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return float((np.abs(pixels - color).max(-1) < off).mean())


def look(page, direction: str) -> None:
    page.get_by_label("view", exact=True).click()
    page.get_by_role("option", name=direction).click()


def until(page, condition) -> bool:
    """Wait until a condition holds, but not for ever."""
    for _ in range(30):
        if condition():
            return True
        page.wait_for_timeout(1000)
    return False


def test_clicks_change_the_picture_and_files_can_be_downloaded(result):
    with opened(result) as page:
        assert until(page, lambda: share(page, GREEN) > 0.1)  # the photo stands behind the person
        seen = share(page, GREEN)
        label = page.get_by_text("person_0, ")
        assert "cm" in label.inner_text()
        page.get_by_label(label.inner_text()).click()
        assert until(page, lambda: share(page, GREEN) > seen + 0.02)  # without the person there is more of it
        page.get_by_label("pictures", exact=True).click()
        assert until(page, lambda: share(page, GREEN) < 0.01)
        with page.expect_download(timeout=PATIENCE) as waiting:
            page.get_by_role("button", name="download GLB").click()
        assert waiting.value.suggested_filename == "wall.jpg_scene.glb"
        file = result.parent / "got.glb"
        waiting.value.save_as(file)
        assert file.read_bytes() == (result / "scene.glb").read_bytes() and GLTF2().load(str(file)).meshes
        with page.expect_download(timeout=PATIENCE) as waiting:
            page.get_by_role("button", name="screenshot").click()
        waiting.value.save_as(result.parent / "seen.png")
        with Image.open(result.parent / "seen.png") as image:
            assert image.size == (WINDOW["width"], WINDOW["height"])


def test_clips_of_several_cameras_are_seen_in_time_from_each_and_from_the_side(clips_of_cameras):
    with opened(clips_of_cameras) as page:
        assert until(page, lambda: share(page, GREEN) > 0.1)  # through the first camera
        look(page, "through right")
        assert until(page, lambda: share(page, BLUE) > 0.1)
        slider = page.get_by_role("slider").first
        slider.focus()
        slider.press("End")
        assert until(page, lambda: share(page, PURPLE) > 0.1)
        assert page.get_by_text("frame 3, 0.30 s").is_visible()
        look(page, "from the side")
        assert until(page, lambda: min(share(page, RED), share(page, PURPLE)) > 0.0002)  # both cameras' pictures
        assert max(share(page, RED), share(page, PURPLE)) < 0.05
        slider.focus()
        slider.press("Home")
        assert until(page, lambda: min(share(page, GREEN), share(page, BLUE)) > 0.0002)
        page.get_by_label("play", exact=True).click()
        assert until(page, lambda: not page.get_by_text("frame 0, 0.00 s").is_visible())


def test_without_viser_a_sentence_says_what_to_install(result, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(MissingDependency, match=r"meshrec\[view\]"):
        Viewer([read_result_folder(result)])
    assert main(["view", str(result)]) == 1
    assert "pip install" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, sentence", [(("nowhere",), "no results there"), ((".", "--port", "0"), "a port is")]
)
def test_wrong_input_is_one_sentence(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["view", *arguments]) == 1
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
