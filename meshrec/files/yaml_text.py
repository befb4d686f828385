"""YAML of strangers: whatever is in the text, it becomes plain values of bounded number and depth, or a ValueError."""

from typing import Any

import yaml

MOST_DEPTH = 64  # of lists and objects in one another; our configurations need five
MOST_VALUES = 20_000  # of a document, also when its aliases are written out; our configurations have a hundred

Measure = tuple[int, int]  # number of values in a node, with itself, and their depth


def parse_yaml(text: str) -> Any:
    """Parse YAML of plain values. Aliases may neither refer to themselves nor multiply a document beyond the limits.

    Raises:
        ValueError: It is no YAML of this kind.

    Example:
        >>> from meshrec.files.yaml_text import parse_yaml
        >>> parse_yaml("{steps: 100, optimizer: {rate: 1.0e-3}}")
        {'steps': 100, 'optimizer': {'rate': 0.001}}
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, {})
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except (AttributeError, IndexError, KeyError, TypeError, ArithmeticError) as error:
        # What a tag such as !!timestamp promises, and the value does not keep.
        raise ValueError(f"a value is not what its tag says ({error})") from None


class _Loader(yaml.SafeLoader):
    """Stops at the limits while it reads, before the stack or the time is used up."""

    count = depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.count, self.depth = self.count + 1, self.depth + 1
        _check(self.count, self.depth)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _measure(node: yaml.Node, known: dict[int, Measure | None]) -> Measure:
    """Number and depth of the values of a node, with aliases written out.

    Args:
        node: The node.
        known: What was measured before, by identity of the nodes; None while a node is being measured.

    Raises:
        ValueError: It contains itself, or passes the limits.
    """
    if id(node) in known:
        measured = known[id(node)]
        if measured is None:
            raise ValueError("a value contains itself")
        return measured
    known[id(node)] = None
    if isinstance(node.value, str) and not node.value.isascii():
        node.value.encode()  # half a surrogate pair is no text: a UnicodeEncodeError, which is a ValueError
    parts = node.value if isinstance(node.value, list) else []
    count, depth = 1, 1
    for part in parts:
        for child in part if isinstance(part, tuple) else (part,):
            inside, below = _measure(child, known)
            count, depth = count + inside, max(depth, below + 1)
            _check(count, depth)
    known[id(node)] = count, depth
    return count, depth


def _check(count: int, depth: int) -> None:
    if depth > MOST_DEPTH:
        raise ValueError("it is nested too deeply")
    if count > MOST_VALUES:
        raise ValueError(f"it has more than {MOST_VALUES:,} values, counting what its aliases stand for")
