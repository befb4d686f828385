"""Names of pictures in files that other computers wrote: URLs, backslashes, other folders."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote


def name_parts(name: str) -> tuple[str, ...]:
    """Split the name of a picture into folders and file name, without drive, root and dots.

    Example:
        >>> from meshrec.files.names import name_parts
        >>> name_parts(r"C:\\images\\train\\x.jpg"), name_parts("https://host/val/x%201.jpg?size=640")
        (('images', 'train', 'x.jpg'), ('val', 'x 1.jpg'))
    """
    _, is_url, address = name.partition("://")
    if is_url:
        name = unquote(re.split(r"[?#]", address)[0].partition("/")[2])
    name = re.sub(r"^[A-Za-z]:(?=[\\/])", "", name)
    return tuple(part for part in re.split(r"[\\/]", name) if part not in ("", "."))


def find_picture(folder: Path, name: str, suffixes: Sequence[str] = ("",)) -> Path:
    """The file of a picture that a data set names.

    Args:
        folder: Folder of the pictures.
        name: The picture's name, a path relative to this folder or to one that is not there.
        suffixes: What may have to be added to the name.

    Returns:
        The file below the folder that has most of the name's folders; the first guess if there is none.
    """
    parts = name_parts(name)
    tried = [name, *("/".join(parts[start:]) for start in range(len(parts)))]
    guesses = [folder / (path + suffix) for path in tried for suffix in suffixes]
    return next((file for file in guesses if os.path.isfile(file)), guesses[0])
