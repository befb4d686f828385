"""The viewer: a server with the scene of a result, and a panel of controls beside it."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshrec.errors import InputError, MissingDependency
from meshrec.files.regular import read_regular
from meshrec.jobs.result_folders import ResultFolder
from meshrec.render.overlay import encode_png
from meshrec.viewer.readout import label_of, measures_of, measures_table, moment, remarks
from meshrec.viewer.shown import load_shown
from meshrec.viewer.stage import Look, Stage

if TYPE_CHECKING:
    from viser import ClientHandle

MOST_BYTES = 1 << 30  # of a file that is downloaded
IDLE = 0.05  # seconds between looks at whether to play
PERSON, CONFIDENCE = "person", "confidence"


@dataclass(frozen=True)
class ViewSettings:
    """Settings of a viewer.

    Attributes:
        host: Address to listen on; other computers can only look in if it is not this computer's own.
        port: Port to listen on; the next free one if it is taken.
        body: The body to which the betas belong, as for :meth:`meshrec.Person.load`.
        clip: The clip of the result, whose frames are shown instead of those of its overlay.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    body: str | None = None
    clip: Path | None = None


class Viewer:
    """Shows results in browsers.

    Args:
        results: The results to choose from; the first one is shown.
        settings: Settings.

    Raises:
        MissingDependency: viser is not installed.
        InputError: The first result cannot be read.
    """

    def __init__(self, results: Sequence[ResultFolder], settings: ViewSettings = ViewSettings()) -> None:
        try:
            import viser
        except ModuleNotFoundError as error:
            raise MissingDependency('looking at results needs viser: pip install "meshrec[view]".') from error
        self._results, self._settings = list(results), settings
        first = load_shown(self._results[0], settings.body)
        self._lock = threading.RLock()  # controls are used in threads of their own
        with contextlib.redirect_stdout(io.StringIO()):  # it prints a table of its addresses
            self.server = viser.ViserServer(settings.host, settings.port, label="meshrec", verbose=False)
        try:
            self._stage = Stage(self.server, first, settings.clip)
        except InputError:
            self.server.stop()
            raise
        self.server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="medium")
        self._controls: list[Any] = []
        self._through: int | None = None  # the camera that somebody looks through
        self._add_choice()
        self._show(self._stage)
        self.server.on_client_connect(lambda client: self._look_from(client, 0))

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{self.server.get_host()}:{self.server.get_port()}"

    def serve(self) -> None:
        """Play when asked to, until the program is interrupted."""
        begun, first = time.monotonic(), 0
        playing = False
        while True:
            shown = self._stage.shown
            if not self._play.value or len(shown.frames) < 2:
                playing = False
                time.sleep(IDLE)
                continue
            if not playing:
                playing, begun, first = True, time.monotonic(), int(self._frame.value)
            gone = int((time.monotonic() - begun) * shown.rate * float(self._speed.value))
            self._frame.value = (first + gone) % len(shown.frames)
            time.sleep(1 / shown.rate)

    def stop(self) -> None:
        """Close the server."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.server.stop()

    def _add_choice(self) -> None:
        """The choice of a result, if there are several."""
        if len(self._results) < 2:
            return
        names = [f"{number + 1}: {result.path.name}" for number, result in enumerate(self._results)]
        chosen = self.server.gui.add_dropdown("result", names, order=-1)
        chosen.on_update(lambda event: self._choose(event.client, names.index(str(chosen.value))))

    def _choose(self, client: ClientHandle | None, number: int) -> None:
        """Show another result."""
        with self._lock:
            try:
                self._show(Stage(self.server, load_shown(self._results[number], self._settings.body)))
            except InputError as error:
                if client is not None:
                    client.add_notification("This result cannot be shown", str(error))
                return
        self._look_from(client, 0)

    def _show(self, stage: Stage) -> None:
        """Put the controls of a result into the panel, and draw it."""
        gui, shown = self.server.gui, stage.shown
        for control in self._controls:
            control.remove()
        self._stage, self._through = stage, None
        measures = [measures_of(person) for person in shown.people]
        last = max(len(shown.frames) - 1, 0)
        with gui.add_folder("time", visible=last > 0) as times:
            self._frame = gui.add_slider("frame", 0, max(last, 1), 1, 0)
            self._play = gui.add_checkbox("play", False)
            self._speed = gui.add_dropdown("speed", ("0.25", "0.5", "1", "2"), initial_value="1")
        with gui.add_folder("people", visible=bool(shown.people)) as people:
            self._people = [gui.add_checkbox(label_of(*pair), True) for pair in zip(shown.people, measures)]
            self._moment = gui.add_html("")
        with gui.add_folder("show") as what:
            self._meshes = gui.add_checkbox("meshes", True)
            self._colors = gui.add_dropdown(
                "colour",
                (PERSON, CONFIDENCE),
                hint="confidence: blue where a joint is likely to be within 10 cm, red where it is not",
            )
            self._skeletons = gui.add_checkbox("skeletons", False)
            self._cameras = gui.add_checkbox("cameras", True)
            self._pictures = gui.add_checkbox("pictures", True)
            self._floor = gui.add_checkbox("floor", True)
            view = gui.add_dropdown("view", stage.views())
            back = gui.add_button("look from there")
        with gui.add_folder("measures", visible=bool(shown.people), expand_by_default=len(shown.people) == 1) as table:
            gui.add_html(measures_table([person.name for person in shown.people], measures))
        with gui.add_folder("files") as files:
            screenshot = gui.add_button("screenshot")
            file = gui.add_dropdown("GLB", shown.glb_files or ("none",))
            download = gui.add_button("download GLB", disabled=not shown.glb_files)
        self._controls = [times, people, what, table, files, gui.add_html(remarks(shown))]
        drawn = (self._meshes, self._colors, self._skeletons, self._cameras, self._pictures, self._floor)
        for control in (self._frame, *drawn, *self._people):
            control.on_update(lambda _: self._draw())
        for chooser in (view.on_update, back.on_click):
            chooser(lambda event: self._look_from(event.client, stage.views().index(str(view.value))))
        screenshot.on_click(lambda event: _send_screenshot(event.client))
        download.on_click(lambda event: self._send_file(event.client, str(file.value)))
        self._draw()

    def _draw(self) -> None:
        with self._lock:
            shown, index = self._stage.shown, min(int(self._frame.value), max(len(self._stage.shown.frames) - 1, 0))
            look = Look(
                tuple(bool(box.value) for box in self._people),
                self._meshes.value,
                self._skeletons.value,
                self._cameras.value,
                self._pictures.value,
                self._floor.value,
                self._colors.value == CONFIDENCE,
                self._through,
            )
            posed = self._stage.draw(index, look)
            self._moment.content = moment(shown, index, posed)

    def _look_from(self, client: ClientHandle | None, number: int) -> None:
        if client is not None:
            self._through = number if number < len(self._stage.shown.cameras) else None
            self._draw()
            self._stage.look_from(client, number, int(self._frame.value))

    def _send_file(self, client: ClientHandle | None, name: str) -> None:
        """Send a file of the result that is shown; only those that were listed can be asked for."""
        shown = self._stage.shown
        if client is not None and name in shown.glb_files:
            stem = shown.folder.path.name
            client.send_file_download(
                f"{stem}_{name}", read_regular(shown.folder.path / name, MOST_BYTES), save_immediately=True
            )


def _send_screenshot(client: ClientHandle | None) -> None:
    """Send what a browser shows, as PNG."""
    if client is not None:
        size = client.camera.image_height, client.camera.image_width
        picture = client.get_render(*size, transport_format="png")
        client.send_file_download("meshrec.png", encode_png(picture[..., :3]), save_immediately=True)
