"""XML of strangers: elements of a bounded number and depth, without document types and entities, or a ValueError."""

from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

MOST_ELEMENTS = 100_000
MOST_DEPTH = 64


def parse_xml(data: bytes) -> Element:
    """Parse XML. A document type is refused, since its entities can stand for any amount of text and for other files.

    Raises:
        ValueError: It is no XML, has a document type, or too many elements.

    Example:
        >>> from meshrec.files.xml_text import parse_xml
        >>> parse_xml(b"<camera serial='1'/>").get("serial")
        '1'
    """
    parser = XMLParser(target=_Builder())
    try:
        parser.feed(data)
        return parser.close()
    except (ParseError, LookupError) as error:  # a LookupError for an encoding that nobody knows
        raise ValueError(f"it is no XML ({error})") from None


class _Builder(TreeBuilder):
    """Stops at the limits while it reads."""

    count = depth = 0

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self.count, self.depth = self.count + 1, self.depth + 1
        if self.count > MOST_ELEMENTS or self.depth > MOST_DEPTH:
            raise ValueError("it has too many elements")
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        self.depth -= 1
        return super().end(tag)

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("it has a document type")
