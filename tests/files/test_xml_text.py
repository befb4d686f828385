"""XML of strangers."""

import pytest

from meshrec.files.xml_text import parse_xml


def test_elements_are_read_in_any_encoding():
    for encoding in ("utf-8", "utf-16", "iso-8859-1"):
        root = parse_xml(f'<?xml version="1.0" encoding="{encoding}"?><a><b c="ü"/></a>'.encode(encoding))
        assert root.find("b").get("c") == "ü"


@pytest.mark.parametrize(
    "data, message",
    [
        (b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>', "document type"),
        ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a><a/>'.encode("utf-16"), "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
        (b"<a>" * 100 + b"</a>" * 100, "too many elements"),
        (b"<a>" + b"<b/>" * 100_001 + b"</a>", "too many elements"),
        (b"<a>", "no XML"),
        (b"", "no XML"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "no XML"),
    ],
    ids=range(8),
)
def test_what_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        parse_xml(data)
