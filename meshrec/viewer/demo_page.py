"""The demo's page, made of Gradio's components, and its one function."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import gradio

from meshrec.errors import MeshrecError
from meshrec.jobs.plan import Progress
from meshrec.jobs.settings import Settings
from meshrec.jobs.work import make_reconstructor
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.regress.weights import DEFAULT, NONE, shipped_regressors
from meshrec.viewer.uploads import Limits, Made, reconstruct_upload

BODIES = ("neutral", "male", "female")
MOST_RECONSTRUCTORS = 3  # that are kept with their networks
SWEEP_SECONDS = 60  # between two looks for files that are too old
MODEL_HEIGHT = 520  # pixels
SEEN = ["download", "fullscreen"]  # buttons of pictures; the one for sharing sends them elsewhere

Row = tuple[str, "dict[str, Any]", "dict[str, Any]", "str | None", "list[str] | None"]


@dataclass
class Reconstructors:
    """The reconstructors that were used last, which keep their networks."""

    _kept: OrderedDict[tuple[str | None, str], Reconstructor] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, settings: Settings) -> Reconstructor:
        """The reconstructor for a regressor and a body."""
        key = settings.regressor, settings.body
        with self._lock:  # one at a time, so that none is made twice
            if key not in self._kept:
                self._kept[key] = make_reconstructor(settings)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_RECONSTRUCTORS:
                self._kept.popitem(last=False)
            return self._kept[key]


@dataclass
class Sessions:
    """Files that belong to open pages. An upload may belong to several, since the same content is the same file.

    Attributes:
        folder: The folder of all files.
        kept_seconds: How long results stay if nobody closes the page.
    """

    folder: Path
    kept_seconds: int
    _uploads: dict[str, set[Path]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def results(self, session: str, upload: Path) -> Path:
        """A new folder for the results of an upload."""
        self._forget_old()
        with self._lock:
            self._uploads.setdefault(session, set()).add(upload)
        _results_of(self.folder, session).mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(dir=_results_of(self.folder, session)))

    def close(self, session: str) -> None:
        """Delete what belongs to a session alone."""
        with self._lock:
            uploads = self._uploads.pop(session, set()).difference(*self._uploads.values())
        shutil.rmtree(_results_of(self.folder, session), ignore_errors=True)
        for upload in uploads:
            with suppress(OSError):
                upload.unlink()

    def _forget_old(self) -> None:
        """Delete results of sessions that were left open."""
        for results in self.folder.glob("results-*/*"):
            with suppress(OSError):
                if time.time() - results.stat().st_mtime > self.kept_seconds:
                    shutil.rmtree(results)


def make_page(folder: Path, device: str, jobs: int, limits: Limits) -> gradio.Blocks:
    """Make the page, and load the networks that it starts with.

    Args:
        folder: Gradio's folder for files, which holds the results too.
        device: Device to compute on.
        jobs: Number of uploads to work on at a time.
        limits: What may be uploaded.

    Raises:
        InputError: Nothing can be reconstructed because the device is wrong.
    """
    regressors = sorted([*shipped_regressors(), NONE], key=lambda name: name != DEFAULT)
    reconstructors, sessions = Reconstructors(), Sessions(folder, limits.kept_seconds)
    reconstructors.of(Settings(device=device, regressor=regressors[0]))
    with gradio.Blocks(
        title="meshrec", analytics_enabled=False, delete_cache=(SWEEP_SECONDS, limits.kept_seconds), fill_width=True
    ) as page:
        gradio.Markdown(
            "# meshrec\nDrop a photo of people or a short clip: up to "
            f"{limits.file_bytes >> 20} MiB, clips up to {limits.seconds:g} seconds. It stays on this machine, and is "
            "deleted when you close the page."
        )
        with gradio.Row():
            with gradio.Column(scale=1):
                file = gradio.File(label="Photo or clip", type="filepath", height=160)
                regressor = gradio.Dropdown(regressors, value=regressors[0], label="First estimate")
                body = gradio.Dropdown(list(BODIES), value=BODIES[0], label="Body")
                button = gradio.Button("Reconstruct", variant="primary")
                summary = gradio.Textbox(label="Result", lines=3)
                files = gradio.File(label="Files", file_count="multiple", interactive=False)
            with gradio.Column(scale=2):
                picture = gradio.Image(label="Overlay and side view", type="filepath", interactive=False, buttons=SEEN)
                video = gradio.Video(
                    label="Overlay and side view", interactive=False, visible=False, buttons=["download"]
                )
                model = gradio.Model3D(
                    label="Model: drag to turn, scroll to zoom", interactive=False, height=MODEL_HEIGHT
                )
        button.click(
            _reconstruct(reconstructors, sessions, device, limits),
            [file, regressor, body],
            [summary, picture, video, model, files],
            api_name="reconstruct",
            api_description="Reconstruct everyone in an uploaded photo or short clip.",
            concurrency_limit=jobs,
        )
        page.unload(_close(sessions))
    page.queue(max_size=limits.waiting)
    return page


def open_page(page: gradio.Blocks, host: str, port: int | None, limits: Limits) -> str:
    """Serve the page from threads of this process, and return its address.

    Raises:
        OSError: The port is taken.
    """
    theme = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])  # none from elsewhere
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        show_error=True,
        prevent_thread_lock=True,
        max_file_size=limits.file_bytes,
        footer_links=["api"],
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        theme=theme,
    )
    return str(address)


def _reconstruct(reconstructors: Reconstructors, sessions: Sessions, device: str, limits: Limits) -> Callable[..., Row]:
    """The function behind the button and the API."""

    def reconstruct(
        file: str | None,
        regressor: str,
        body: str,
        request: gradio.Request,
        progress: gradio.Progress = gradio.Progress(),
    ) -> Row:
        if file is None:
            raise gradio.Error("Give a photo or a clip.", print_exception=False)
        results = sessions.results(request.session_hash or "", Path(file))
        try:
            settings = Settings(device=device, body=body, regressor=regressor)
            for message in reconstruct_upload(Path(file), results, reconstructors.of(settings), settings, limits):
                if isinstance(message, Progress):
                    progress((message.done, message.total), desc=message.stage)
                else:
                    made = message
        except MeshrecError as error:
            shutil.rmtree(results, ignore_errors=True)
            raise gradio.Error(str(error), print_exception=False) from error
        return _row(made)

    return reconstruct


def _close(sessions: Sessions) -> Callable[[gradio.Request], None]:
    """The function that is called when a page is closed."""

    def close(request: gradio.Request) -> None:
        if request.session_hash:
            sessions.close(request.session_hash)

    return close


def _row(made: Made) -> Row:
    """What the page shows of a result, in the order of its components."""
    overlay = None if made.overlay is None else str(made.overlay)
    picture = gradio.update(value=None if made.clip else overlay, visible=not made.clip)
    video = gradio.update(value=overlay if made.clip else None, visible=made.clip)
    model = None if made.model is None else str(made.model)
    return made.summary, picture, video, model, [str(file) for file in made.files] or None


def _results_of(folder: Path, session: str) -> Path:
    """The folder of a session. Its name comes from the browser, so that only letters and digits of it are used."""
    return folder / f"results-{''.join(c for c in session if c.isascii() and c.isalnum())}"
