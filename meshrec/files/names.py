"""Names of pictures in files that other computers wrote: URLs, backslashes, other folders; and the order of names."""

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


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """A key for sorting names as people do, by the values of the numbers in them.

    Example:
        >>> from meshrec.files.names import natural_key
        >>> sorted(["frame_10.png", "frame_2.png", "Frame_1.png"], key=natural_key)
        ['Frame_1.png', 'frame_2.png', 'frame_10.png']
    """
    parts = re.split(r"([0-9]+)", name.casefold())
    return (*((0, int(part)) if part.isascii() and part.isdigit() else (1, part) for part in parts if part), (1, name))
