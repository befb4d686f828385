"""Pickles as data: what a pickle says is written down as plain records, and nothing that it asks for is done.

A pickle is a program for a small stack machine. Python's own machine imports and calls what the program names, fills
what it makes through that object's own code, and hashes whatever the program uses as a key, so a file can run code,
overflow the C stack or reserve memory without bound. The machine here knows only numbers, text, containers and records:
a name becomes a :class:`Global`, a call a :class:`Call`. What they mean is decided later, by those who read the records
(:mod:`meshrec.files.arrays`, :mod:`meshrec.files.torch_files`).

Memory and time are bounded by the size of the file and :data:`MOST_OPCODES`: an opcode makes one small object or a copy
of the bytes that follow it, and nothing recurses. The standard library's table of opcodes (:mod:`pickletools`) says
where the argument of each ends. Its tokenizer is not used, because it refuses the binary text of Python 2's protocol 0.
"""

import codecs
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pickletools import (
    TAKEN_FROM_ARGUMENT1,
    TAKEN_FROM_ARGUMENT4,
    TAKEN_FROM_ARGUMENT4U,
    TAKEN_FROM_ARGUMENT8U,
    UP_TO_NEWLINE,
    opcodes,
)
from typing import Any

MOST_OPCODES = 1_000_000  # a body has a thousand, a sequence of 3DPW some thousands, a checkpoint thirty a tensor
MOST_DIGITS = 40  # of a number in decimals, which takes a time quadratic in their count
MOST_INTEGER_BYTES = 16  # torch's magic number has ten
MOST_PLACES = 1 << 25  # of the memo, which programs that write pickles number from 0
LARGEST_KEY = 1 << 20  # integers are their own hashes; of larger ones a file could choose thousands that collide
MODULE_PARTS = 4  # of what is outside the pickle: a mark, the class, its file and its source code
LONGEST_KEY = 1000  # characters; to compare two of many megabytes at every opcode would take hours
LONGEST_NAME = 200
LONG_TEXT = 1 << 16  # bytes; longer text is binary data in code points below 256, which Python stores in a byte each

_LATIN1_BYTES = bytes(range(0xC4))  # the bytes of which UTF-8 makes the code points below 256
_COUNT_WIDTHS = {  # of the number that says how many bytes follow
    TAKEN_FROM_ARGUMENT1: 1,
    TAKEN_FROM_ARGUMENT4: 4,
    TAKEN_FROM_ARGUMENT4U: 4,
    TAKEN_FROM_ARGUMENT8U: 8,
}


@dataclass(frozen=True, slots=True)
class Global:
    """A name that the file wants imported, such as ``numpy`` and ``dtype``."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, slots=True, repr=False)
class Call:
    """An object that the file wants made by a call.

    Attributes:
        function: What is to be called: a function or a class.
        arguments: Its arguments.
        state: What the new object's attributes are to be set from; None if there is nothing to set.
        items: What is to be appended to it.
        entries: What is to be set in it by key.
    """

    function: Global
    arguments: tuple
    state: object = None
    items: list | None = None
    entries: dict | None = None


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Persistent:
    """Something outside the pickle, such as the numbers of a tensor, and what the file has as its key."""

    key: object


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Pickle:
    """What a pickle says.

    Attributes:
        content: None, bool, int, float, str, bytes, lists, tuples, dictionaries and the records of this module. It may
            be nested to any depth, and lists may hold themselves. Keys are str, bytes, bool, None, or an
            int from 0 to below :data:`LARGEST_KEY`; entries with other keys are left out.
        outside: Everything outside the pickle that it refers to.
        end: Where in the data the pickle ends.
        opcodes: Their number.
    """

    content: Any
    outside: list[Persistent]
    end: int
    opcodes: int


def read_pickle(
    data: bytes,
    check: Callable[[Global], None] = lambda name: None,
    start: int = 0,
    built: Callable[[Call, int], int] = lambda call, position: position,
    most_opcodes: int = MOST_OPCODES,
) -> Pickle:
    """Write down what a pickle says. Text of Python 2, which may be binary data, is read as Latin-1.

    Args:
        data: The pickle, possibly with more before and after it.
        check: Called with each name that the pickle asks for, to raise an error if that name is not welcome.
        start: Where in ``data`` the pickle starts.
        built: Called with each object whose attributes were set and the position behind it, to return where the pickle
            goes on: joblib puts the numbers of an array right there, between two opcodes.
        most_opcodes: Limit of the number of opcodes.

    Raises:
        ValueError: The pickle is damaged, cut short or longer than any that this package is for.

    Example:
        >>> import pickle
        >>> from meshrec.files.pickles import read_pickle
        >>> call = read_pickle(pickle.dumps(range(3))).content
        >>> str(call.function), call.arguments
        ('builtins.range', (0, 3, 1))
    """
    machine = _Machine(data, check, start, built)
    try:
        return machine.run(most_opcodes)
    except (IndexError, KeyError):
        raise ValueError(f"the opcode before byte {machine.position} lacks what it works on") from None


class _Machine:
    """The stack machine. Each method ``on_<name>`` is the opcode of that name in :mod:`pickletools`."""

    def __init__(
        self, data: bytes, check: Callable[[Global], None], position: int, built: Callable[[Call, int], int]
    ) -> None:
        self.data = data
        self.check = check
        self.built = built
        self.position = position
        self.stack: list[Any] = []
        self.below_marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.outside: list[Persistent] = []

    def run(self, most_opcodes: int) -> Pickle:
        for count in range(1, most_opcodes + 1):
            code = self.data[self.position]
            self.position += 1
            if code == _STOP:
                return Pickle(self.stack.pop(), self.outside, self.position, count)
            if code not in _STEPS:
                raise ValueError(f"there is no opcode {code}")
            step, extent = _STEPS[code]
            if extent is None:
                step(self)
            else:
                step(self, self.argument(extent))
        raise ValueError(f"more than {most_opcodes} opcodes")

    def argument(self, extent: int) -> bytes:
        """The bytes that follow an opcode, without their count or the end of their line."""
        start = self.position
        if extent == UP_TO_NEWLINE:
            end = self.data.find(b"\n", start)
            if end < 0:
                raise ValueError("a line does not end")
            self.position = end + 1
            return self.data[start:end]
        if extent < 0:
            width = _COUNT_WIDTHS[extent]
            extent = int.from_bytes(self.data[start : start + width], "little")
            start += width
        self.position = start + extent
        if self.position > len(self.data):
            raise ValueError(f"of {extent} bytes only {max(len(self.data) - start, 0)} are there")
        return self.data[start : self.position]

    def items_since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below_marks.pop()
        return items

    # --- numbers and text

    def on_none(self) -> None:
        self.stack.append(None)

    def on_newtrue(self) -> None:
        self.stack.append(True)

    def on_newfalse(self) -> None:
        self.stack.append(False)

    def on_int(self, line: bytes) -> None:
        self.stack.append(line == b"01" if line in (b"00", b"01") else _decimal(line))

    def on_long(self, line: bytes) -> None:
        self.stack.append(_decimal(line.removesuffix(b"L")))

    def on_binint1(self, number: bytes) -> None:
        self.stack.append(int.from_bytes(number, "little"))

    on_binint2 = on_binint1

    def on_binint(self, number: bytes) -> None:
        if len(number) > MOST_INTEGER_BYTES:
            raise ValueError(f"a whole number of {len(number)} bytes")
        self.stack.append(int.from_bytes(number, "little", signed=True))

    on_long1 = on_long4 = on_binint

    def on_float(self, line: bytes) -> None:
        if len(line) > MOST_DIGITS:
            raise ValueError(f"a number of {len(line)} digits")
        self.stack.append(float(line))

    def on_binfloat(self, number: bytes) -> None:
        self.stack.append(struct.unpack(">d", number)[0])

    def on_string(self, line: bytes) -> None:
        line = line.strip()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise ValueError("text without quotes")
        self.stack.append(codecs.escape_decode(line[1:-1])[0].decode("latin1"))  # type: ignore[attr-defined]

    def on_binstring(self, text: bytes) -> None:
        self.stack.append(text.decode("latin1"))

    on_short_binstring = on_binstring

    def on_unicode(self, line: bytes) -> None:
        # One character beyond Latin-1 makes Python store all of them in two or four bytes.
        if len(line) > LONG_TEXT and re.search(rb"\\U|\\u(?!00)", line):
            raise ValueError("long text that is no binary data")
        self.stack.append(line.decode("raw-unicode-escape"))

    def on_binunicode(self, text: bytes) -> None:
        if len(text) > LONG_TEXT and text.translate(None, _LATIN1_BYTES):
            raise ValueError("long text that is no binary data")
        self.stack.append(text.decode("utf-8", "surrogatepass"))

    on_short_binunicode = on_binunicode8 = on_binunicode

    def on_binbytes(self, content: bytes) -> None:
        self.stack.append(content)

    on_short_binbytes = on_binbytes8 = on_bytearray8 = on_binbytes

    # --- containers

    def on_empty_tuple(self) -> None:
        self.stack.append(())

    def on_tuple1(self) -> None:
        self.stack[-1:] = [(self.stack[-1],)]

    def on_tuple2(self) -> None:
        self.stack[-2:] = [(self.stack[-2], self.stack[-1])]

    def on_tuple3(self) -> None:
        self.stack[-3:] = [(self.stack[-3], self.stack[-2], self.stack[-1])]

    def on_tuple(self) -> None:
        items = self.items_since_mark()
        self.stack.append(tuple(items))

    def on_empty_list(self) -> None:
        self.stack.append([])

    def on_list(self) -> None:
        items = self.items_since_mark()
        self.stack.append(items)

    def on_append(self) -> None:
        value = self.stack.pop()
        _extend(self.stack[-1], [value])

    def on_appends(self) -> None:
        items = self.items_since_mark()
        _extend(self.stack[-1], items)

    on_additems = on_appends

    def on_empty_dict(self) -> None:
        self.stack.append({})

    def on_dict(self) -> None:
        items = self.items_since_mark()
        self.stack.append({})
        _set(self.stack[-1], items)

    def on_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _set(self.stack[-1], [key, value])

    def on_setitems(self) -> None:
        items = self.items_since_mark()
        _set(self.stack[-1], items)

    def on_empty_set(self) -> None:
        self.stack.append(Call(Global("builtins", "set"), ()))

    def on_frozenset(self) -> None:
        items = self.items_since_mark()
        self.stack.append(Call(Global("builtins", "frozenset"), (items,)))

    # --- the stack and the memo

    def on_mark(self) -> None:
        self.below_marks.append(self.stack)
        self.stack = []

    def on_pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.items_since_mark()

    def on_pop_mark(self) -> None:
        self.items_since_mark()

    def on_dup(self) -> None:
        self.stack.append(self.stack[-1])

    def on_get(self, line: bytes) -> None:
        self.stack.append(self.memo[_decimal(line)])

    def on_binget(self, index: bytes) -> None:
        self.stack.append(self.memo[int.from_bytes(index, "little")])

    on_long_binget = on_binget

    def on_put(self, line: bytes) -> None:
        self.remember(_decimal(line))

    def on_binput(self, index: bytes) -> None:
        self.remember(int.from_bytes(index, "little"))

    on_long_binput = on_binput

    def on_memoize(self) -> None:
        self.remember(len(self.memo))

    def remember(self, index: int) -> None:
        if not 0 <= index < MOST_PLACES:
            raise ValueError("a place in the memo that cannot be")
        self.memo[index] = self.stack[-1]

    # --- records of what Python's own machine would import, call and fill

    def named(self, module: object, name: object) -> Global:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name that is no text")
        # Known names are short. Others may be too long to be put together at every call.
        found = Global(module[:LONGEST_NAME], name[:LONGEST_NAME])
        self.check(found)
        return found

    def on_global(self, module: bytes) -> None:
        self.stack.append(self.named(module.decode(), self.argument(UP_TO_NEWLINE).decode()))

    def on_stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self.named(module, name))

    def on_reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(_call(function, arguments))

    on_newobj = on_reduce

    def on_newobj_ex(self) -> None:
        named, arguments, kind = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.stack.append(_call(kind, (arguments, named)))

    def on_obj(self) -> None:
        kind, *arguments = self.items_since_mark()
        self.stack.append(_call(kind, tuple(arguments)))

    def on_inst(self, module: bytes) -> None:
        kind = self.named(module.decode(), self.argument(UP_TO_NEWLINE).decode())
        arguments = tuple(self.items_since_mark())
        self.stack.append(_call(kind, arguments))

    def on_build(self) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if not isinstance(made, Call) or made.state is not None:
            raise ValueError("an object whose attributes cannot be set")
        made.state = state
        self.position = self.built(made, self.position)

    def on_persid(self, line: bytes) -> None:
        self.stack.append(Persistent(line.decode()))
        self.outside.append(self.stack[-1])

    def on_binpersid(self) -> None:
        self.stack.append(Persistent(self.stack.pop()))
        self.outside.append(self.stack[-1])

    # --- what says nothing

    def on_proto(self, version: bytes) -> None:
        pass

    on_frame = on_proto


_STOP = ord(".")
# Extensions of the machine, and buffers outside the file, are not among the methods and so not among the opcodes.
_STEPS: dict[int, tuple[Callable, int | None]] = {
    ord(opcode.code): (step, None if opcode.arg is None else opcode.arg.n)
    for opcode in opcodes
    if (step := vars(_Machine).get(f"on_{opcode.name.lower()}")) is not None
}


def _decimal(line: bytes) -> int:
    if len(line) > MOST_DIGITS:
        raise ValueError(f"a number of {len(line)} digits")
    return int(line)


def _extend(target: object, items: list[Any]) -> None:
    if isinstance(target, Call):
        target.items = [] if target.items is None else target.items
        target = target.items
    if not isinstance(target, list):
        raise ValueError("something is appended to what is no list")
    target += items


def _set(target: object, items: list[Any]) -> None:
    if isinstance(target, Call):
        target.entries = {} if target.entries is None else target.entries
        target = target.entries
    if not isinstance(target, dict) or len(items) % 2:
        raise ValueError("something is set in what is no dictionary")
    for key, value in zip(items[::2], items[1::2]):
        # Nobody can ask for an entry with another key. Hashing one might recurse.
        if (plain := _key(key)) is not _NO_KEY:
            target[plain] = value


_NO_KEY = object()


def _key(key: object) -> object:
    if isinstance(key, Call) and str(key.function) == "_codecs.encode" and isinstance(key.arguments[0], str):
        text = key.arguments[0]
        key = text.encode("latin1") if len(text) <= LONGEST_KEY else text  # how Python 3 writes bytes in protocol 2
    if isinstance(key, str | bytes):
        return key if len(key) <= LONGEST_KEY else _NO_KEY
    return key if key is None or (isinstance(key, int) and 0 <= key < LARGEST_KEY) else _NO_KEY


def _call(function: object, arguments: object) -> Call:
    if isinstance(function, Persistent) and isinstance(function.key, tuple):
        # Old files of torch have a class with its source code outside the pickle.
        function = next((part for part in function.key[:MODULE_PARTS] if isinstance(part, Global)), function)
    if isinstance(function, Call | Persistent):
        function = _UNNAMED
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        raise ValueError("a call of what is no function")
    return Call(function, arguments)


_UNNAMED = Global("an object", "of the file")
