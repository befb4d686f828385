"""Addresses of files in stores, such as ``s3://bucket/photo.jpg``, and what of them may be shown and stored.

What is shown of an address is without passwords and signatures.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
MAGIC = re.compile(r"[*?\[]")
WEB = ("http", "https")  # these have single files, and what follows a question mark may be a signature
DISK = ("file", "local")
CONTAINERS = ("abfs", "abfss", "az", "adl")  # what stands before their @ is a container, not a user


@dataclass(frozen=True)
class Location:
    """A file or folder in a store.

    Attributes:
        root: An address by which the file system is opened; it may hold access data, and is never shown.
        path: The path in this file system.
        shown: The address without access data.
    """

    root: str = field(repr=False)
    path: str = field(repr=False)
    shown: str

    def __str__(self) -> str:
        return self.shown

    @property
    def name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(self.shown.rstrip("/"))

    @property
    def on_disk(self) -> bool:
        """Whether it lies on a disk of this machine."""
        return protocol_of(self.root) in DISK

    @property
    def parts(self) -> tuple[str, ...]:
        """The protocol and the names of all folders that lead to it."""
        protocol, _, rest = self.shown.partition("://")
        return (protocol, *rest.lstrip("/").split("/")) if rest.lstrip("/") else (protocol,)

    def below(self, relative: str) -> Location:
        """A file or folder in this folder."""
        return replace(self, path=f"{self.path}/{relative}", shown=shown_below(self.shown, relative))


def is_address(text: object) -> bool:
    """Whether a text is the address of something in a store, and not a path.

    Example:
        >>> from meshrec.files.addresses import is_address
        >>> is_address("s3://bucket/photo.jpg"), is_address("C:/photo.jpg"), is_address("photo.jpg")
        (True, False, False)
    """
    return ADDRESS.match(str(text)) is not None


def without_secrets(address: str) -> str:
    """An address without user, password, and, on the web, without what follows a question mark.

    Example:
        >>> from meshrec.files.addresses import without_secrets
        >>> without_secrets("https://me:secret@host/1.jpg?signature=abc")
        'https://host/1.jpg'
        >>> without_secrets("s3://bucket/who?.jpg")
        's3://bucket/who?.jpg'
    """
    protocol, _, rest = address.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if at and not (protocol in CONTAINERS and ":" not in user):
        authority = host
    text = f"{protocol}://{authority}{slash}{path}"
    return re.split(r"[?#]", text)[0] if protocol in WEB else text


def protocol_of(address: str) -> str:
    """What stands before the ``://`` of an address."""
    return address.partition("://")[0]


def fixed_part(source: Location) -> Location:
    """The deepest folder that contains all files that a pattern or an address of a file can ever name."""
    parts = source.path.split("/")
    magic = [number for number, part in enumerate(parts) if MAGIC.search(part)] if has_patterns(source) else []
    levels = len(parts) - magic[0] if magic else 1
    protocol, _, rest = source.shown.partition("://")
    return replace(source, path="/".join(parts[:-levels]), shown=f"{protocol}://{'/'.join(rest.split('/')[:-levels])}")


def has_patterns(source: Location) -> bool:
    """Whether an address may be a pattern. On the web a question mark is none."""
    return protocol_of(source.shown) not in WEB and MAGIC.search(source.path) is not None


def shown_below(folder: str, relative: str) -> str:
    """The address of a file in a folder."""
    return f"{folder}{relative}" if folder.endswith("/") else f"{folder}/{relative}"
