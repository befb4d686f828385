"""JSON of strangers: whatever is in the text, it becomes plain values of a bounded depth, or a ValueError."""

import json
from typing import Any

import numpy as np

MOST_DEPTH = 64  # of lists and objects in one another; our own files need five

_OTHER_BYTES = bytes(set(range(256)) - set(b'"[]{}'))


def parse_json(data: bytes) -> Any:
    """Parse JSON in UTF-8, with or without a byte order mark, or in UTF-16.

    Numbers may be too large for a float, and NaN and infinity are read as Python's JSON reads them.

    Raises:
        ValueError: It is no JSON, or nested deeper than :data:`MOST_DEPTH`.

    Example:
        >>> from meshrec.files.json_text import parse_json
        >>> parse_json(b'{"betas": [0.5, -1]}')
        {'betas': [0.5, -1]}
    """
    text = data.decode(json.detect_encoding(data))
    if _json_depth(text.encode("utf-8", "surrogatepass")) > MOST_DEPTH:
        raise ValueError("it is nested too deeply")
    return json.loads(text)


def _json_depth(data: bytes) -> int:
    """Depth of the brackets outside of strings. It is counted before parsing, which may exhaust the stack."""
    marks = data.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _OTHER_BYTES)  # without escaped quotes
    codes = np.frombuffer(marks, np.uint8)
    quotes = codes == ord('"')
    brackets = codes[~quotes & (np.cumsum(quotes, dtype=np.uint8) % 2 == 0)]
    steps = np.where(np.isin(brackets, (ord("["), ord("{"))), 1, -1)
    return int(steps.cumsum().max(initial=0))
