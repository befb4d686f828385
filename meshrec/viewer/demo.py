"""A page in the browser on which one drops a photo or a short clip and looks at the bodies.

Everything is computed on this machine. Uploads and results lie in one temporary folder: those of a page are deleted
when it is closed, all others after a while, and everything when the demo ends. The page asks no other server for
anything.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meshrec.errors import InputError, MissingDependency
from meshrec.viewer.uploads import Limits

CACHE, ANALYTICS = "GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED"  # where Gradio puts uploads; whether it reports home


@contextmanager
def serving(
    host: str = "127.0.0.1", port: int | None = None, device: str = "cpu", jobs: int = 1, limits: Limits = Limits()
) -> Iterator[str]:
    """Serve the demo until the context ends; then nothing of it is left on the disk.

    Args:
        host: Address to listen on; ``0.0.0.0`` is every network of the machine.
        port: Port to listen on. Default: the first free one from 7860.
        device: Device to compute on.
        jobs: Number of uploads to work on at a time.
        limits: What may be uploaded.

    Yields:
        The address of the page.

    Raises:
        InputError: The port is taken, or nothing can be reconstructed because the device is wrong.
        MissingDependency: Gradio is not installed.
    """
    if jobs < 1:
        raise InputError(f"the number of uploads to work on at a time must be at least 1, not {jobs}.")
    temporary = tempfile.TemporaryDirectory(prefix="meshrec-demo-", ignore_cleanup_errors=True)
    with temporary as folder, _environment({CACHE: folder, ANALYTICS: "False"}):
        try:
            from meshrec.viewer.demo_page import make_page, open_page
        except ModuleNotFoundError as error:
            raise MissingDependency('the demo needs Gradio: pip install "meshrec[demo]".') from error
        page = make_page(Path(folder), device, jobs, limits)
        try:
            address = open_page(page, host, port, limits)
        except OSError as error:
            where = f"{host}, port {'7860 and above' if port is None else port}"
            raise InputError(f"the demo cannot listen on {where}; choose another --port or --host.") from error
        try:
            yield address
        finally:
            page.close(verbose=False)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables, which Gradio reads, and set them back."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
