"""JSON of strangers: what is not parsed is a ValueError, whatever the bytes."""

import pytest

from meshrec.files.json_text import MOST_DEPTH, parse_json


@pytest.mark.parametrize("text", ['{"a": [1, -2.5, null, "x"]}', '"[[[["', r'["\"[[[[\\", "\\\\", {"]]": 1}]', "[]"])
def test_plain_values(text):
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert parse_json(text.encode(encoding)) == eval(text.replace("null", "None"))


def test_depth_is_that_of_brackets_outside_of_strings():
    assert parse_json(b"[" * MOST_DEPTH + b"]" * MOST_DEPTH)
    deep = MOST_DEPTH + 1
    for text in ("[" * 100_000, "[" * deep + "]" * deep, '{"a":' * deep + "1" + "}" * deep, '["]]]",' * deep):
        for encoding in ("utf-8", "utf-16", "utf-32"):
            with pytest.raises(ValueError, match="too deeply"):
                parse_json(text.encode(encoding))
    assert parse_json(b'["' + b"[" * 1000 + b'", "\\"[[", "' + b"]" * 1000 + b'"]')


@pytest.mark.parametrize("data", [b"", b"\xff\xff", b"[1", b"1" * 5000, b"{1: 2}", b"\x00", b'"\xed\xb3\xbf"'])
def test_what_is_no_json(data):
    with pytest.raises(ValueError):
        parse_json(data)
