"""The demo as a browser and curl meet it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.bad_input.photos import photos
from helpers.paths import EXAMPLES, ROOT
from PIL import Image

from meshrec import InputError, MissingDependency
from meshrec.cli import main
from meshrec.viewer.demo import serving
from meshrec.viewer.uploads import Limits

LIMITS = Limits(file_bytes=1 << 20)
BAD = [case for case in photos() if case.code == 1 and len(case.files) == 1 and "folder" not in case.name]


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """The address of a demo without a slash at its end."""
    pytest.importorskip("gradio")
    with serving(jobs=2, limits=LIMITS) as address:
        yield address.rstrip("/")


def upload(demo: str, name: str, content: bytes) -> str:
    """The server's path of an uploaded file."""
    line = "--boundary"
    head = f'{line}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
    head += "Content-Type: application/octet-stream\r\n\r\n"
    body = head.encode() + content + f"\r\n{line}--\r\n".encode()
    kind = {"Content-Type": "multipart/form-data; boundary=boundary"}
    with urllib.request.urlopen(urllib.request.Request(f"{demo}/gradio_api/upload", body, kind)) as answer:
        return json.load(answer)[0]


def call(demo: str, *data: object) -> tuple[str, object]:
    """The last event of a call, "complete" or "error", and what it says."""
    kind = {"Content-Type": "application/json"}
    body = json.dumps({"data": data}).encode()
    address = f"{demo}/gradio_api/call/reconstruct"
    with urllib.request.urlopen(urllib.request.Request(address, body, kind)) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{address}/{event}", timeout=300) as answer:
        events = re.findall(r"event: (\w+)\ndata: (.*)\n", answer.read().decode())
    return events[-1][0], json.loads(events[-1][1])


def given(path: str) -> dict[str, object]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def test_bad_uploads_are_told_in_a_sentence(demo):
    assert len(BAD) >= 20
    for case in BAD:
        ((name, content),) = case.files.items()
        content = content() if callable(content) else content
        content = content.encode() if isinstance(content, str) else content
        kind, answer = call(demo, given(upload(demo, name, content)), "proxy", "neutral")
        assert kind == "error", case.name
        sentence = answer["error"]
        assert re.search(case.sentence, sentence) and "meshrec-demo-" not in sentence, (case.name, sentence)


def test_uploads_that_no_page_would_send(demo):
    with pytest.raises(urllib.error.HTTPError) as refused:
        upload(demo, "large.jpg", bytes(LIMITS.file_bytes + 1))
    assert refused.value.code == 413
    photo = given(upload(demo, "dancer.jpg", (EXAMPLES / "dancer.jpg").read_bytes()))
    for data in (
        (None, "proxy", "neutral"),
        (given("/etc/hostname"), "proxy", "neutral"),  # a file that nobody has uploaded
        (photo, "own.safetensors", "neutral"),
        (photo, "proxy", "../body.pkl"),
    ):
        assert call(demo, *data)[0] == "error", data


def test_eight_at_once_get_what_one_gets(demo):
    content = (EXAMPLES / "dancer.jpg").read_bytes()
    paths = [upload(demo, f"{i}.jpg", content) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda path: call(demo, given(path), "proxy", "neutral"), paths))
    found = []
    for i, (kind, (summary, picture, _, model, files)) in enumerate(answers):
        assert kind == "complete" and summary == f"1 person in {i}.jpg."
        assert picture["visible"] and model["path"].endswith("turning.glb")
        (address,) = (file["url"] for file in files if file["orig_name"] == "person_0.json")
        with urllib.request.urlopen(address) as answer:
            found.append(json.load(answer))
    assert all(person == found[0] for person in found) and len({answer[1][3]["path"] for answer in answers}) == 8


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl, as on Linux")
def test_the_lines_of_the_page_for_curl(demo, tmp_path):
    shutil.copy(EXAMPLES / "dancer.jpg", tmp_path / "photo.jpg")
    program = next(
        p for p in re.findall(r"```bash\n(.*?)```", (ROOT / "docs/demo.md").read_text(), re.S) if "curl" in p
    )
    program = program.replace("http://127.0.0.1:7860", demo)
    result = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "event: complete" in result.stdout and "1 person in photo.jpg." in result.stdout


def test_closing_a_page_deletes_what_is_its_own(tmp_path):
    pytest.importorskip("gradio")
    from meshrec.viewer.demo_page import Sessions

    sessions, upload = Sessions(tmp_path, 900), tmp_path / "photo.jpg"
    upload.write_bytes(b"x")
    first, second = sessions.results("a1", upload), sessions.results("../b2", upload)
    assert first.parent.parent == second.parent.parent == tmp_path
    sessions.close("a1")
    assert not first.exists() and second.exists() and upload.exists()  # another page has uploaded the same
    sessions.close("../b2")
    assert list(tmp_path.iterdir()) == []
    old = Sessions(tmp_path, -1)
    left = old.results("c", upload)
    old.results("d", upload)
    assert not left.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals that Windows lacks")
def test_nothing_stays_after_the_end(tmp_path):
    pytest.importorskip("gradio")
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "meshrec.cli", "demo"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        demo = re.search(r"http://[\d.:]+", process.stdout.readline()).group()
        upload(demo, "dancer.jpg", (EXAMPLES / "dancer.jpg").read_bytes())
        assert list(tmp_path.glob("meshrec-demo-*/*/dancer.jpg"))
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert not list(tmp_path.glob("meshrec-demo-*"))


def test_the_page_in_a_browser(demo, tmp_path):
    """It shows the picture and the model, which turns, and asks nobody else for anything."""
    playwright = pytest.importorskip("playwright.sync_api")
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if browser is None:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as running:
        window = running.chromium.launch(executable_path=browser, args=["--enable-unsafe-swiftshader", "--no-sandbox"])
        page = window.new_page(viewport={"width": 1400, "height": 1200})
        hosts = set()
        page.on("request", lambda request: hosts.add(re.sub(r"^(https?://[^/]*|\w+:).*", r"\1", request.url)))
        page.goto(demo)
        page.set_input_files("input[type=file]", EXAMPLES / "dancer.jpg")
        page.get_by_text("dancer.jpg").wait_for()
        page.get_by_role("button", name="Reconstruct").click()
        page.wait_for_selector("canvas", timeout=120_000)
        page.wait_for_timeout(8000)
        shots = []
        for number in range(2):
            page.wait_for_timeout(1500)
            page.locator("canvas").screenshot(path=tmp_path / f"{number}.png")
            shots.append(Image.open(tmp_path / f"{number}.png").convert("L"))
        window.close()
    assert hosts <= {demo, "data:", "blob:"}
    assert all(min(shot.getdata()) < 200 for shot in shots)  # somebody is there
    assert shots[0].tobytes() != shots[1].tobytes()


def test_what_is_missing_or_wrong_is_told(monkeypatch, capfd):
    with pytest.raises(InputError, match="at least 1, not 0"), serving(jobs=0):
        pass
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "meshrec.viewer.demo_page", raising=False)
    with pytest.raises(MissingDependency, match=r'pip install "meshrec\[demo\]"'), serving():
        pass


def test_a_port_that_is_taken(demo, capfd):
    port = demo.rpartition(":")[2]
    assert main(["demo", "--port", port]) == 1
    assert f"the demo cannot listen on 127.0.0.1, port {port}; choose another" in capfd.readouterr().err
