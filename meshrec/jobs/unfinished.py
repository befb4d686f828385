"""The folder in which an unfinished clip keeps what it has so far, and for which clip and settings that is."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from meshrec.errors import InputError
from meshrec.files.atomic import write_file

WORK = ".work"  # in the folder of the results
BEGUN = "begun.json"  # in the folder of an unfinished clip: of which clip it is, and for which settings


def work_folder(folder: Path, begun: bytes) -> Path:
    """The folder of an unfinished clip. What is in it of another clip or for other settings is deleted.

    Args:
        folder: The folder of the results.
        begun: What tells the clip and the settings.

    Raises:
        InputError: It cannot be deleted.
    """
    work = folder / WORK
    try:
        if os.path.isdir(work) and not _is_begun(work, begun):
            shutil.rmtree(work)
    except OSError as error:
        raise InputError(f"cannot write into {work}: {error.strerror or error}.") from error
    return work


def mark(work: Path, begun: bytes) -> None:
    """Note of what clip the folder is, once there is something in it: a clip that cannot be read leaves no folder."""
    if work.is_dir() and not (work / BEGUN).exists():
        write_file(work / BEGUN, begun)


def _is_begun(work: Path, begun: bytes) -> bool:
    with suppress(OSError):
        return (work / BEGUN).read_bytes() == begun
    return False
