"""The row type of the table of broken input."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Content = bytes | str | Callable[[], bytes]


@dataclass(frozen=True)
class Case:
    """A command line with broken input, and what it must print.

    Attributes:
        name: Name of the test.
        command: The command line, run in a folder that holds ``files``.
        sentence: Regular expression that must match in the output.
        files: Contents of the files by name, or functions that make them; a name that ends in "/" is an empty folder.
        code: Expected exit code.
    """

    name: str
    command: str
    sentence: str
    files: Mapping[str, Content] = field(default_factory=dict)
    code: int = 1
