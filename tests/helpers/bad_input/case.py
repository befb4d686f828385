"""One row of the table of broken input."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Content = bytes | str | Callable[[], bytes]


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        name: Of the test.
        command: The command line. Words that are file names are those of ``files``.
        sentence: A regular expression found in what is printed.
        files: Name to content, or to what makes it; a name that ends in "/" is an empty folder.
        code: The exit code.
    """

    name: str
    command: str
    sentence: str
    files: Mapping[str, Content] = field(default_factory=dict)
    code: int = 1
