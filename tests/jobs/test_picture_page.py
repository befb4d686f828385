"""The picture page of a run: what it shows, that names cannot break it, and that only the files decide on it."""

import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from PIL import Image

from meshrec.files.videos import VideoWriter
from meshrec.jobs.picture_page import MARK, PAGE, page_of_results, write_picture_page
from meshrec.jobs.result_folders import read_result_folder, result_folders
from meshrec.jobs.thumbnails import find_thumbnail

NAMES = ["plain.jpg", "a b&c#d?.jpg", '"><script>alert(1)</script>.jpg'.replace("/", "_"), "javascript:alert(1).jpg"]


class Page(HTMLParser):
    """Tags of a page with their attributes, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def addresses(self) -> list[str]:
        return [own[key] for _, own in self.tags for key in ("href", "src", "poster") if key in own]


def write_photo_results(folder: Path, people: int = 1, notes: tuple[str, ...] = ()) -> None:
    """Files as those of a photo, with little in them."""
    folder.mkdir(parents=True)
    names = [f"person_{i}.json" for i in range(people)]
    for name in names:
        (folder / name).write_text(json.dumps({"score": 0.625, "reprojection_error": 0.0123, "mask_iou": None}))
    if people:
        Image.new("RGB", (1100, 400), (200, 90, 30)).save(folder / "overlay.png")
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    record = {"schema": "meshrec.photo", "version": 1, "photo": {"path": f"/photos/{folder.name}"}, "people": names}
    (folder / "photo.json").write_text(json.dumps(record | {"notes": notes, "files": files}))


def page_of(out: Path) -> Page:
    return Page(write_picture_page(out).read_text())


@pytest.fixture
def result_files_conform_to_their_schemas():
    """Not here: the results are made up."""


@pytest.mark.parametrize("name", NAMES)
def test_every_address_leads_to_a_file_and_no_name_becomes_a_tag(name, tmp_path):
    write_photo_results(tmp_path / "day 1" / name)
    page = page_of(tmp_path)
    assert {tag for tag, _ in page.tags} & {"script", "iframe", "object"} == set()
    addresses = page.addresses()
    assert len(addresses) >= 4
    for address in addresses:
        assert address.startswith("./")  # so that no name is read as a scheme
        assert os.path.isfile(os.fsencode(tmp_path) + b"/" + unquote_to_bytes(address)), address
    assert name in page.text and "0.62" in page.text and "0.01" in page.text


@pytest.mark.skipif(os.name == "nt", reason="Windows lacks names that are no text")
def test_a_name_that_is_no_text(tmp_path):
    write_photo_results(tmp_path / os.fsdecode(b"\xff\n.jpg"))
    page = page_of(tmp_path)
    assert "??.jpg" in page.text
    assert all(os.path.isfile(os.fsencode(tmp_path) + b"/" + unquote_to_bytes(a)) for a in page.addresses())


def test_doubtful_results_are_marked(tmp_path):
    write_photo_results(tmp_path / "good.jpg", notes=("colours are pale",))
    write_photo_results(tmp_path / "empty.jpg", people=0)
    write_photo_results(tmp_path / "bad.jpg", notes=("person_0: the body misses the keypoints",))
    write_photo_results(tmp_path / "torn.jpg", people=2)
    (tmp_path / "torn.jpg" / "person_1.json").unlink()
    page = page_of(tmp_path)
    kinds = [own["class"] for tag, own in page.tags if tag == "article"]
    assert kinds == ["doubtful", "doubtful", "sound", "doubtful"]  # bad, empty, good, torn
    for words in ("nobody was found", "misses the keypoints", "colours are pale", "files are missing", "results: 3"):
        assert words in page.text


def test_the_page_depends_on_the_files_alone(tmp_path):
    for name in ("10.jpg", "9.jpg", "b/1.jpg"):
        write_photo_results(tmp_path / "one" / name)
    for name in ("b/1.jpg", "9.jpg", "10.jpg"):
        write_photo_results(tmp_path / "two" / name)
        write_picture_page(tmp_path / "two")
    first, second = (
        (tmp_path / out / PAGE).read_bytes() for out in ("two", "one") if write_picture_page(tmp_path / out)
    )
    assert first == second
    assert re.findall(rb"<h2>(.*?)</h2>", first) == [b"9.jpg", b"10.jpg", b"b/1.jpg"]
    shutil.rmtree(tmp_path / "one" / "9.jpg")
    assert "9.jpg" not in page_of(tmp_path / "one").text


def test_files_of_others_and_damaged_records_are_left_alone(tmp_path):
    write_photo_results(tmp_path / "good.jpg")
    for name, text in {"a": "[1]", "b": "{", "c": '{"schema": "meshrec.photo", "version": 99}', ".work": "{}"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.json").write_text(text)
    strange = {"schema": "meshrec.photo", "version": 1, "notes": 7, "people": "x", "files": [], "photo": [1]}
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "photo.json").write_text(json.dumps(strange))
    (tmp_path / "d" / "person_0.json").write_text('{"score": "high", "reprojection_error": NaN, "mask_iou": true}')
    (tmp_path / "d" / "diary.txt").write_text("mine")
    assert [folder.path.name for folder in result_folders(tmp_path)] == ["d", "good.jpg"]
    assert "diary" not in page_of(tmp_path).text


def test_a_page_of_the_users_own_stays(tmp_path):
    write_photo_results(tmp_path / "1.jpg")
    (tmp_path / PAGE).write_text("<html>my holidays</html>")
    assert write_picture_page(tmp_path) is None
    assert (tmp_path / PAGE).read_text() == "<html>my holidays</html>"
    (tmp_path / PAGE).write_text(f"<html>{MARK}</html>")
    assert write_picture_page(tmp_path) == tmp_path / PAGE
    assert "1.jpg" in (tmp_path / PAGE).read_text()
    assert write_picture_page(tmp_path / "missing") is None and not (tmp_path / "missing").exists()


def test_an_interrupted_run_leaves_a_page(tmp_path):
    with pytest.raises(KeyboardInterrupt), page_of_results(tmp_path):
        write_photo_results(tmp_path / "1.jpg")
        raise KeyboardInterrupt
    assert "1.jpg" in (tmp_path / PAGE).read_text()


def test_small_pictures_of_pictures_and_videos(tmp_path):
    write_photo_results(tmp_path / "1.jpg")
    small = find_thumbnail(tmp_path / "1.jpg" / "overlay.png")
    with Image.open(small) as image:
        assert image.size == (640, 232) and np.allclose(np.asarray(image.convert("RGB")), (200, 90, 30), atol=6)
    with VideoWriter(tmp_path / "overlay_left.mp4", (64, 48), 10) as video:
        for grey in (0, 128, 255):
            video.write(np.full((48, 64, 3), grey, np.uint8))
    small = find_thumbnail(tmp_path / "overlay_left.mp4")
    with Image.open(small) as image:
        assert small.name == "thumbnail_left.jpg" and abs(np.asarray(image.convert("L")).mean() - 128) < 8
    (tmp_path / "overlay.png").write_bytes(b"no picture")
    assert find_thumbnail(tmp_path / "overlay.png") is None


def test_a_small_picture_is_made_anew_when_its_overlay_is(tmp_path):
    write_photo_results(tmp_path / "1.jpg")
    overlay = tmp_path / "1.jpg" / "overlay.png"
    small = find_thumbnail(overlay)
    old = small.read_bytes()
    Image.new("RGB", (300, 100), (0, 0, 250)).save(overlay)
    later = small.stat().st_mtime_ns + 10**9
    os.utime(overlay, ns=(later, later))
    assert find_thumbnail(overlay) == small and small.read_bytes() != old


def test_a_folder_without_results_is_told(tmp_path):
    from meshrec import InputError

    with pytest.raises(InputError, match=r"no results there.*photo\.json"):
        read_result_folder(tmp_path)
