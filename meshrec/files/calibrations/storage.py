"""YAML and XML of OpenCV's ``FileStorage`` as plain values.

OpenCV's own reader is not used, because it can crash on a damaged file. What it writes is little of YAML: tables and
lists in lines of their own or in brackets, numbers, and texts. The tag ``!!opencv-matrix`` marks a table of ``rows``,
``cols`` and ``data``, which becomes an array, with or without the tag; other tags change nothing. Anchors, aliases and
texts of several lines are refused.
"""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

MOST_CHARACTERS = 1 << 20  # of a file; that of a thousand cameras has fewer
MOST_VALUES = 50_000  # of a file; a matrix of a camera has nine
MOST_DEPTH = 8

Line = tuple[int, str]  # indentation and text

_TOKEN = re.compile(r"""\s*(?:([\[\]{},:])|("(?:[^"\\]|\\.)*"|'[^']*')|([^\s\[\]{},:"'](?:[^\[\]{},:"']|:(?=\S))*))""")
_TAG = re.compile(r"!\S*(\s+|$)")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?\.(nan|inf)", re.IGNORECASE)
_WORD = re.compile(r'"[^"]*"|\S+')  # of XML


def parse_yaml_storage(text: str) -> dict[str, Any]:
    """The content of a YAML file of OpenCV as dictionaries, lists, texts, floats and arrays.

    Args:
        text: The file, with or without its ``%YAML`` line.

    Raises:
        ValueError: It is no YAML of this kind, a key occurs twice, or there are too many values.

    Example:
        >>> from meshrec.files.calibrations.storage import parse_yaml_storage
        >>> parse_yaml_storage("%YAML:1.0\\n---\\nimage_width: 640\\nnames:\\n   - left\\n   - right\\n")
        {'image_width': 640.0, 'names': ['left', 'right']}
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError("it has more than a million characters")
    content = _Parser(list(_lines(text))).document()
    if not isinstance(content, dict):
        raise ValueError("it has no keys")
    return content


def xml_storage(root: Element) -> dict[str, Any]:
    """The content of an XML file of OpenCV likewise.

    Args:
        root: Its element ``<opencv_storage>``.

    Raises:
        ValueError: A key occurs twice, or a matrix has another number of values than it says.
    """
    content = _element(root)
    return content if isinstance(content, dict) else {}


def matrices(table: dict[str, Any]) -> Any:
    """An array if the table is that of a matrix (``rows``, ``cols`` and ``data``), and else the table."""
    if not {"rows", "cols", "data"} <= set(table):
        return table
    try:
        data = np.asarray(table["data"], np.float64).reshape(-1)
        rows, columns = int(table["rows"]), int(table["cols"])
        return data.reshape(rows, columns) if rows > 0 and columns > 0 else data[:0]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a matrix has another number of values than its rows and columns") from None


def _lines(text: str) -> Iterator[Line]:
    """The lines that say something, without comments; what is in brackets is one line."""
    open_brackets, parts, indent = 0, [""], 0
    for line in text.splitlines():
        if line.startswith(("%", "---", "...")) and not open_brackets:
            line = line[3:] if line.startswith("---") else ""
        end, _, balance = _survey(line)
        said = line[:end]
        if not said.strip():
            continue
        if not open_brackets:
            indent, parts = len(said) - len(said.lstrip(" ")), []
        parts.append(said.strip())
        open_brackets = max(open_brackets + balance, 0)
        if not open_brackets:
            yield indent, " ".join(parts)
    if open_brackets:
        raise ValueError("a bracket is not closed")


def _survey(text: str) -> tuple[int, int, int]:
    """Where a line ends and its comment begins, where the colon behind its key is (-1 if it has none), and the number
    of brackets that it opens, less those that it closes. Nothing in quotes counts."""
    colon, balance = -1, 0
    quote, last, spaced, escaped = "", "", True, False  # the open quote, the last character, whether space follows it
    for place, character in enumerate(text):
        if escaped:
            escaped = False
        elif quote:
            escaped = quote == '"' and character == "\\"
            quote = "" if character == quote else quote
        elif character in "\"'" and last in ("", "[", "{", ",", ":", "-"):  # elsewhere it is an apostrophe
            quote = character
        elif character == "#" and spaced:
            return place, colon, balance
        elif character in "[{":
            balance += 1
        elif character in "]}":
            balance -= 1
        elif character == ":" and colon < 0 and not balance and not text[place + 1 : place + 2].strip():
            colon = place
        spaced = character.isspace()
        last = last if spaced else character
    return len(text), colon, balance


def _key(text: str) -> tuple[str, str] | None:
    """Key and rest of a line; None if it has no key."""
    _, colon, _ = _survey(text)
    key = text[:colon].rstrip() if colon > 0 else ""
    if not key or key[0] in "[{#&*!|>%@`":
        return None
    return _text(key), text[colon + 1 :].strip()


class _Parser:
    """Reads lines from the first on."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines, self.at, self.count = lines, 0, 0

    def document(self) -> Any:
        if not self.lines:
            return None
        content = self.block(self.lines[0][0], 0)
        if self.at < len(self.lines):
            raise ValueError(f"the line {self.lines[self.at][1][:40]!r} has another indentation than those before")
        return content

    def block(self, indent: int, depth: int) -> Any:
        """The table or list whose lines have this indentation."""
        self.limit(depth)
        if _is_item(self.lines[self.at][1]):
            items: list[Any] = []
            while self.at < len(self.lines) and self.lines[self.at][0] == indent and _is_item(self.lines[self.at][1]):
                rest = self.lines[self.at][1][1:].strip()
                if _key(rest) or _is_item(rest):  # a table or list that begins in the line of its item
                    self.lines[self.at] = indent + 2, rest
                    items.append(self.block(indent + 2, depth + 1))
                else:
                    items.append(self.value(rest, indent, depth))
            return items
        if len(self.lines) == 1 and self.lines[0][1].startswith("{"):
            self.at += 1
            return self.flow(self.lines[0][1], depth)
        table: dict[str, Any] = {}
        while self.at < len(self.lines) and self.lines[self.at][0] == indent:
            text = self.lines[self.at][1]
            found = _key(text)
            if found is None:
                raise ValueError(f"the line {text[:40]!r} has no key")
            _add(table, found[0], self.value(found[1], indent, depth))
        return matrices(table)

    def value(self, text: str, indent: int, depth: int) -> Any:
        """What stands behind a key or the mark of an item, or in the lines below."""
        self.limit(depth)
        self.at += 1
        text = _TAG.sub("", text, count=1) if text.startswith("!") else text
        if text:
            return self.flow(text, depth) if text[0] in "[{\"'" else _scalar(text)
        if self.at < len(self.lines):
            below, following = self.lines[self.at]
            if below > indent or (below == indent and _is_item(following) and not _is_item(self.lines[self.at - 1][1])):
                return self.block(below, depth + 1)
        return None

    def flow(self, text: str, depth: int) -> Any:
        """A value in brackets or quotes."""
        tokens, end = [], 0
        while end < len(text):
            found = _TOKEN.match(text, end)
            if found is None:
                raise ValueError(f"{text[end : end + 40]!r} cannot be read")
            tokens.append(found[found.lastindex or 0].strip())
            end = found.end()
        tokens.reverse()
        value = self.flow_value(tokens, depth)
        if tokens:
            raise ValueError(f"there is something behind {text[:40]!r}")
        return value

    def flow_value(self, tokens: list[str], depth: int) -> Any:
        """The value at the end of the tokens, which are in reverse; it is taken from them."""
        self.limit(depth)
        token = tokens.pop() if tokens else ""
        if token not in ("[", "{"):
            if token in ("", "]", "}", ",", ":"):
                raise ValueError("a value is missing in brackets")
            return _text(token) if token[0] in "\"'" else _scalar(token)
        items: list[Any] = []
        table: dict[str, Any] = {}
        closing = "]" if token == "[" else "}"
        while tokens and tokens[-1] != closing:
            if token == "[":
                items.append(self.flow_value(tokens, depth + 1))
            else:
                key = _text(tokens.pop())
                if not tokens or tokens.pop() != ":":
                    raise ValueError("a key in brackets has no value")
                _add(table, key, self.flow_value(tokens, depth + 1))
            if tokens and tokens[-1] == ",":
                tokens.pop()
            elif tokens and tokens[-1] != closing:
                raise ValueError("a comma is missing in brackets")
        if not tokens:
            raise ValueError("a bracket is not closed")
        tokens.pop()
        return items if token == "[" else matrices(table)

    def limit(self, depth: int) -> None:
        self.count += 1
        if self.count > MOST_VALUES or depth > MOST_DEPTH:
            raise ValueError("it has too many values")


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _add(table: dict[str, Any], key: str, value: Any) -> None:
    if key in table:
        raise ValueError(f"the key {key[:40]!r} occurs twice")
    table[key] = value


def _text(token: str) -> str:
    """A text without its quotes; of the escapes only those of quotes and backslashes are known."""
    if token[:1] == '"':
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    return token[1:-1] if token[:1] == "'" else token


def _scalar(text: str) -> float | str | None:
    """A number, a text, or nothing."""
    if text[0] in "&*|>%@`":
        raise ValueError(f"{text[:40]!r} is YAML of a kind that is not read")
    if _NUMBER.fullmatch(text):
        return float(text.replace(".", "", 1) if text.lstrip("+-")[:2].lower() in (".n", ".i") else text)
    return None if text in ("~", "null") else text


def _element(element: Element) -> Any:
    """The value of an element: a table of its children, a list of them if they are called ``_``, or its words."""
    if len(element):
        if all(child.tag == "_" for child in element):
            return [_element(child) for child in element]
        table: dict[str, Any] = {}
        for child in element:
            _add(table, child.tag, _element(child))
        return matrices(table)
    words = [
        word[1:-1] if word[0] == '"' and len(word) > 1 else _scalar(word) for word in _WORD.findall(element.text or "")
    ]
    return words if len(words) > 1 or element.tag == "data" else (words[0] if words else None)
