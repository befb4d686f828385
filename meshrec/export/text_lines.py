"""Tables of numbers as lines of text, by compiled loops: many times faster than Python's formatting.

The loops share this file because numba's disk cache recompiles a loop only when the file that holds it changes.
"""

import numpy as np

from meshrec.compiled.jit import compiled

DIGITS = 9  # significant digits that tell all float32 apart
MOST_ZEROS = 3  # after "0."; smaller numbers get an exponent, as with C's %g
LONGEST = 18  # characters of a number with the space before it
ZERO, POINT, MINUS, PLUS, SPACE, SLASH, LINE, EXPONENT = b"0.-+ /\ne"


def float_lines(key: bytes, table: np.ndarray) -> bytes:
    """Write float32 with nine significant digits, as C's ``%.9g`` does: reading the text gives the same float32.

    Args:
        key: The word with which each line begins.
        table: (N, C) finite numbers.

    Returns:
        N lines.

    Example:
        >>> import numpy as np
        >>> from meshrec.export.text_lines import float_lines
        >>> float_lines(b"v", np.array([[0.1, -2, 3e-7]], np.float32))
        b'v 0.100000001 -2 3.00000011e-07\\n'
    """
    word = np.frombuffer(key, np.uint8)
    text = np.empty(len(table) * (len(word) + LONGEST * table.shape[1] + 1), np.uint8)
    return text[: _write_floats(np.asarray(table, np.float32), word, text)].tobytes()


def decimal_lines(key: bytes, table: np.ndarray, places: int) -> bytes:
    """Write numbers with a fixed number of decimal places, as C's ``%.5f`` does for 5.

    Args:
        key: The word with which each line begins.
        table: (N, C) numbers whose size is at most 1.
        places: Decimal places, from 1 to 9.

    Returns:
        N lines.

    Example:
        >>> import numpy as np
        >>> from meshrec.export.text_lines import decimal_lines
        >>> decimal_lines(b"vn", np.array([[-0.5, 0.126]], np.float32), 2)
        b'vn -0.50 0.13\\n'
    """
    word = np.frombuffer(key, np.uint8)
    text = np.empty(len(table) * (len(word) + LONGEST * table.shape[1] + 1), np.uint8)
    return text[: _write_decimals(np.asarray(table, np.float32), places, word, text)].tobytes()


def face_lines(faces: np.ndarray, vertex: np.ndarray, uv: np.ndarray | None) -> bytes:
    """Write the faces of an OBJ file: ``f v/vt/vn v/vt/vn v/vt/vn``, where the normal has the vertex' index.

    Args:
        faces: (F, 3) indices of corners.
        vertex: (S,) vertex of each corner, from zero; OBJ counts from one.
        uv: (S,) texture coordinate of each corner, or None.

    Returns:
        F lines.

    Example:
        >>> import numpy as np
        >>> from meshrec.export.text_lines import face_lines
        >>> face_lines(np.array([[0, 1, 2]]), np.arange(3), np.array([9, 8, 9]))
        b'f 1/10/1 2/9/2 3/10/3\\n'
    """
    largest = max(len(str(int(index.max(initial=0)) + 1)) for index in (vertex, vertex if uv is None else uv))
    text = np.empty(len(faces) * (2 + 3 * (3 * largest + 3)), np.uint8)
    coordinates = np.full(len(vertex), -1) if uv is None else uv
    return text[: _write_faces(faces.astype(np.int64), vertex, coordinates, text)].tobytes()


@compiled
def _write_floats(table, word, text):
    """Write the lines of :func:`float_lines` into ``text``, and return their length."""
    at = 0
    for row in range(len(table)):
        at = _put_word(word, text, at)
        for column in range(table.shape[1]):
            text[at] = SPACE
            at = _put_float(np.float64(table[row, column]), text, at + 1)
        text[at] = LINE
        at += 1
    return at


@compiled
def _write_decimals(table, places, word, text):
    """Write the lines of :func:`decimal_lines` into ``text``, and return their length."""
    at, scale = 0, 10**places
    for row in range(len(table)):
        at = _put_word(word, text, at)
        for column in range(table.shape[1]):
            value = np.float64(table[row, column])
            text[at] = SPACE
            at = _put_sign(value, text, at + 1)
            number = np.int64(np.rint(abs(value) * scale))
            at = _put_integer(number // scale, text, at)
            text[at] = POINT
            at = _put_digits(number % scale, places, text, at + 1)
        text[at] = LINE
        at += 1
    return at


@compiled
def _write_faces(faces, vertex, uv, text):
    """Write the lines of :func:`face_lines` into ``text``, and return their length. A ``uv`` of -1 is left out."""
    at = 0
    for face in range(len(faces)):
        text[at] = 102  # f
        at += 1
        for k in range(3):
            corner = faces[face, k]
            text[at] = SPACE
            at = _put_integer(vertex[corner] + 1, text, at + 1)
            text[at] = SLASH
            at += 1
            if uv[corner] >= 0:
                at = _put_integer(uv[corner] + 1, text, at)
            text[at] = SLASH
            at = _put_integer(vertex[corner] + 1, text, at + 1)
        text[at] = LINE
        at += 1
    return at


@compiled
def _put_float(value, text, at):
    """Write a number as ``%.9g`` at a place of the text, and return the place behind it."""
    at = _put_sign(value, text, at)
    size = abs(value)
    if size == 0:
        text[at] = ZERO
        return at + 1
    exponent = np.int64(np.floor(np.log10(size)))
    number = np.int64(np.rint(size * 10.0 ** (DIGITS - 1 - exponent)))
    if number >= 10**DIGITS:  # rounded up to one digit more
        number, exponent = 10 ** (DIGITS - 1), exponent + 1
    count = DIGITS
    while number % 10 == 0:  # without trailing zeros
        number, count = number // 10, count - 1
    if exponent < -MOST_ZEROS - 1 or exponent >= DIGITS:
        at = _put_with_point(number, count, 0, text, at)
        text[at], text[at + 1] = EXPONENT, MINUS if exponent < 0 else PLUS
        return _put_digits(abs(exponent), 2, text, at + 2)
    if exponent >= 0:
        return _put_with_point(
            number * 10 ** max(exponent + 1 - count, 0), max(count, exponent + 1), exponent, text, at
        )
    text[at], text[at + 1] = ZERO, POINT
    at = _put_digits(0, -exponent - 1, text, at + 2)
    return _put_digits(number, count, text, at)


@compiled
def _put_with_point(number, count, before, text, at):
    """Write a number of ``count`` digits with a point behind digit number ``before``, if it is not the last."""
    if before == count - 1:
        return _put_digits(number, count, text, at)
    _put_digits(number, count, text, at + 1)
    for i in range(before + 1):
        text[at + i] = text[at + i + 1]
    text[at + before + 1] = POINT
    return at + count + 1


@compiled
def _put_integer(number, text, at):
    """Write an integer that is not negative."""
    count, rest = 1, number // 10
    while rest > 0:
        count, rest = count + 1, rest // 10
    return _put_digits(number, count, text, at)


@compiled
def _put_digits(number, count, text, at):
    """Write the last ``count`` decimal digits of an integer."""
    for i in range(count - 1, -1, -1):
        rest = number // 10
        text[at + i] = ZERO + number - 10 * rest
        number = rest
    return at + count


@compiled
def _put_sign(value, text, at):
    if np.signbit(value):
        text[at] = MINUS
        return at + 1
    return at


@compiled
def _put_word(word, text, at):
    for character in word:
        text[at] = character
        at += 1
    return at
