"""Random programs for the pickle machine: mostly well-typed, of the names that real files use, with hostile values.

A program is put together from the inside out, so that most get past the machine and reach what evaluates its records.
"""

import io
import pickle
import random
import struct
import zipfile

KEYS = (
    *("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f", "gender", "name"),
    *("sequence", "cam_intrinsics", "cam_poses", "campose_valid", "poses", "betas", "genders", "jointPositions"),
    *("poses2d", "model", "state_dict", "graph_cnn", "x", "data", "indices", "indptr", "_shape", "a", "idxs"),
)
INTEGERS = (0, 1, 2, 3, 4, 7, 8, 24, 72, 207, 1000, 65536, 10**6, 2**31 - 1, 2**31, 2**32, 2**40, 2**61 - 1, 2**62)
INTEGERS += (2**63 - 1, 2**63, 2**64, 2**126)
TYPES = ("f8", "f4", "f2", "i8", "i4", "i1", "u1", "u4", "u8", "b1", "c8", "c16", "S1", "S8", "U1", "U3", "S0", "U0")
STRANGE_TYPES = ("O8", "O", "V8", "M8", "f16", "S999999999", "U999999999", "i3", "", "f8,f8", "object", "(2,)f8")
SIZES = {"b1": 1} | {name: int(name[1:]) * (4 if name[0] == "U" else 1) for name in TYPES if name != "b1"}
CORES = ("numpy.core", "numpy._core")
STORAGES = {"FloatStorage": 4, "DoubleStorage": 8, "LongStorage": 8, "BoolStorage": 1, "HalfStorage": 2, "Oddity": 3}
MAGIC = 0x1950A86A20F9469CFC6C


class Program:
    """Makes pickled values. Every method returns the opcodes of one value."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.memo = 0
        self.made: list[int] = []  # what is in the memo for certain
        self.storages: dict[str, bytes] = {}
        self.budget = 400  # values; keeps programs small
        self.kind = self.random.choice(("arrays", "arrays", "archive", "stream"))
        self.malice = self.random.choice((0.02, 0.2, 1.0))  # by which the chances of hostile values are multiplied

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def lies(self, probability: float) -> bool:
        """Whether to be hostile here."""
        return self.chance(probability * self.malice)

    # --- numbers and text

    def integer(self, value: int | None = None) -> bytes:
        if value is None:
            value = self.random.choice(INTEGERS) * self.random.choice((1, 1, 1, -1)) + self.random.choice(
                (0, 0, 0, 1, -1)
            )
        form = self.random.randrange(4)
        if form == 0:
            return b"I%d\n" % value
        if form == 1:
            return b"L%dL\n" % value
        return pickle.dumps(value, 2)[2:-1]

    def text(self, value: str | None = None) -> bytes:
        if value is None:
            value = self.random.choice(
                ("", "a", "f8", "male", "latin1", "x" * 300, "\u00e4", "\U0001f600", "A" * 100_000)
            )
        data = value.encode("latin1", "replace")
        form = self.random.randrange(5)
        if form == 0:
            return b"S" + repr(data)[1:].encode() + b"\n"
        if form == 1:
            return b"T" + struct.pack("<i", len(data)) + data
        if form == 2 and len(data) < 256:
            return b"U" + bytes([len(data)]) + data
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()

    def binary(self, count: int | None = None) -> bytes:
        """Bytes, in one of the forms of different protocols; rarely with a count that is not theirs."""
        count = self.random.choice((0, 1, 8, 24, 256, 5000)) if count is None else min(count, 200_000)
        data = self.random.choice((bytes(count), b"\xff" * count, b"A" * count, self.random.randbytes(count)))
        said = self.random.choice((2**31, 2**32 - 1, count + 1)) if self.lies(0.01) else count
        form = self.random.randrange(6)
        if form == 0:
            return b"B" + struct.pack("<I", said) + data
        if form == 1:
            return b"\x8e" + struct.pack("<Q", said) + data
        if form == 2:
            return b"\x96" + struct.pack("<Q", said) + data
        if form == 3:
            return b"S" + repr(data)[1:].encode() + b"\n"
        if form == 4:
            return b"T" + struct.pack("<I", said) + data
        text = data.decode("latin1").encode()
        return b"c_codecs\nencode\n(X" + struct.pack("<I", len(text)) + text + b"X\x06\x00\x00\x00latin1tR"

    def scalar(self) -> bytes:
        return self.random.choice(
            (self.integer, self.text, self.binary, lambda: self.random.choice((b"N", b"\x88", b"\x89")))
        )()

    # --- names and calls

    def name(self, module: str, name: str) -> bytes:
        if self.lies(0.02):
            module, name = self.random.choice((("os", "system"), ("builtins", "getattr"), ("a" * 70, "b" * 5000)))
        if self.chance(0.3):
            return self.text(module) + self.text(name) + b"\x93"
        return f"c{module}\n{name}\n".encode()

    def call(self, function: bytes, *arguments: bytes) -> bytes:
        return function + self.tuple_of(*arguments) + self.random.choice((b"R", b"R", b"R", b"\x81"))

    def instance(self, function: bytes, state: bytes) -> bytes:
        made = (
            self.call(function)
            if self.chance(0.5)
            else self.call(self.name("copy_reg", "_reconstructor"), function, b"c__builtin__\nobject\n", b"N")
        )
        return made + state + b"b" * self.random.choice((0, 2) if self.lies(0.1) else (1,))

    # --- containers

    def tuple_of(self, *items: bytes) -> bytes:
        if len(items) in (1, 2, 3) and self.chance(0.5):
            return b"".join(items) + bytes([0x84 + len(items)])
        return b"(" + b"".join(items) + b"t" if items else b")"

    def list_of(self, *items: bytes) -> bytes:
        form = self.random.randrange(3)
        if form == 0:
            return b"(" + b"".join(items) + b"l"
        if form == 1:
            return b"](" + b"".join(items) + b"e"
        return b"]" + b"".join(item + b"a" for item in items)

    def dictionary(self, *pairs: bytes) -> bytes:
        if self.chance(0.3):
            return b"(" + b"".join(pairs) + b"d"
        return b"}(" + b"".join(pairs) + b"u"

    def nest(self) -> bytes:
        """Containers in one another, a few or thousands."""
        depth = self.random.choice((3, 20, 40, 1000, 20_000))
        form = self.random.randrange(4)
        if form == 0:
            return self.scalar() + b"\x85" * depth
        if form == 1:
            return b"(" * depth + self.scalar() + self.random.choice((b"t", b"l", b"\x91")) * depth
        if form == 2:
            return b"]" * depth + b"a" * (depth - 1)
        # Every level holds the one before several times.
        depth, width = min(depth, 40), self.random.choice((2, 9))
        inner, first = b"(" + b"N" * width + b"l", self.memo
        self.memo += depth + 1
        for level in range(first, first + depth):
            inner += (
                b"r"
                + struct.pack("<I", level)
                + b"0("
                + (b"j" + struct.pack("<I", level)) * width
                + self.random.choice((b"l", b"t"))
            )
        return inner

    def recalled(self) -> bytes:
        """Something that was made before, or is being made."""
        form = self.random.randrange(5)
        if form == 0:
            return b"2" if self.lies(0.2) else b"N20"
        if form == 1:
            self.memo += 1
            index = struct.pack("<I", self.memo)
            return b"]r" + index + b"j" + index + b"a"
        if form == 2:
            return self.value() + (b"\x94" if self.lies(0.2) else b"")
        if form == 3 and (self.made or self.lies(0.2)):
            return b"j" + struct.pack("<I", self.random.choice(self.made or [2**32 - 1]))
        value = self.value()
        self.memo += 1
        self.made.append(self.memo)
        return value + b"r" + struct.pack("<I", self.memo)

    # --- arrays

    def dtype(self, name: str) -> bytes:
        """A numpy type with its state, which may lie."""
        made = self.call(
            self.name("numpy", "dtype"),
            self.text(name),
            *self.random.choice(((b"K\x00", b"K\x01"), (b"\x89", b"\x88"))),
        )
        if not self.lies(0.1):
            state = [
                b"K\x03",
                self.text(self.random.choice("<<<<<>|=")),
                b"N",
                b"N",
                b"N",
                self.integer(-1),
                self.integer(-1),
                b"K\x00",
            ]
            if name[:1] in "SU" and name in SIZES:
                state[5] = self.integer(SIZES[name])
            if self.lies(0.08):
                state[self.random.randrange(len(state))] = self.value()
            if self.lies(0.03):
                fields = self.dictionary(self.text("a"), self.tuple_of(self.dtype("O8"), self.integer()))
                state[3:5] = self.tuple_of(self.text("a")), fields
            made += self.tuple_of(*state) + b"b"
        return made

    def sizes(self, shape: tuple[int, ...]) -> bytes:
        sizes = [self.integer(size) for size in shape]
        if self.lies(0.05):
            sizes.insert(self.random.randrange(len(sizes) + 1), self.scalar())
        return self.tuple_of(*sizes) if not self.lies(0.02) else self.value()

    def array(self, shape: tuple[int, ...] | None = None, name: str | None = None) -> bytes:
        """A numpy array, mostly of bytes that agree with its shape and type."""
        choice = self.random.choice
        if shape is None:
            shape = choice(
                ((), (1,), (3,), (24,), (8, 3), (8, 3, 10), (3, 72), (2, 24), (24, 8), (0,), (0, 5), (1000,))
            )
        name = name or (choice(STRANGE_TYPES) if self.lies(0.06) else choice(TYPES))
        count = 1
        for size in shape:
            count *= size
        if self.lies(0.1):
            shape = tuple(choice(INTEGERS) if self.chance(0.3) else size for size in shape) or (choice(INTEGERS),)
        size = count * SIZES.get(name, 8)
        data = self.binary(size if not self.lies(0.05) else None)
        if name.startswith("O"):
            data = self.list_of(*(self.value() for _ in range(min(count, 5)))) if self.chance(0.8) else data
        core = choice(CORES)
        form = self.random.randrange(10)
        if form == 0:
            return self.call(
                self.name(f"{core}.multiarray", "scalar"), self.dtype(name), self.binary(SIZES.get(name, 8))
            )
        if form == 1:
            order = self.text(choice(("C", "F", "K")))
            return self.call(
                self.name(f"{core}.numeric", "_frombuffer"), data, self.dtype(name), self.sizes(shape), order
            )
        made = self.call(
            self.name(f"{core}.multiarray", "_reconstruct"), self.name("numpy", "ndarray"), b"K\x00\x85", self.binary(1)
        )
        state = [b"K\x01", self.sizes(shape), self.dtype(name), choice((b"\x88", b"\x89", b"K\x00")), data]
        if self.lies(0.03):
            state[self.random.randrange(5)] = self.value()
        return made + self.tuple_of(*state[self.lies(0.05) :]) + b"b"

    def vector(self, values: list[int]) -> bytes:
        """An array of these whole numbers, a few of which may be changed."""
        if self.lies(0.2) and values:
            values = list(values)
            values[self.random.randrange(len(values))] = self.random.choice(
                (-1, 2**31, 2**62, -(2**63), 2**63 - 1, 8, 9)
            )
        data = b"".join(struct.pack("<q", value) for value in values)
        made = self.call(b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\nndarray\n", b"K\x00\x85", self.binary(1))
        state = [b"K\x01", self.integer(len(values)) + b"\x85", b"cnumpy\ndtype\nU\x02i8\x85R", b"\x89"]
        return made + self.tuple_of(*state, b"B" + struct.pack("<I", len(data)) + data) + b"b"

    def attributes(self, **values: bytes) -> bytes:
        if self.lies(0.1) and values:
            values[self.random.choice(list(values))] = self.value()
        if self.lies(0.1):
            values["__array_interface__"] = self.dictionary(self.text("data"), self.tuple_of(self.integer(), b"\x89"))
        return self.dictionary(*(self.text(key) + value for key, value in values.items() if not self.lies(0.03)))

    def sparse(self) -> bytes:
        layout = self.random.choice(("csc", "csr", "coo"))
        rows, columns, count = self.random.choice(((24, 8, 30), (3, 5, 4), (0, 0, 0), (24, 6890, 200)))
        places = (
            [self.random.randrange(rows) for _ in range(count)],
            [self.random.randrange(columns) for _ in range(count)],
        )
        parts = {
            self.random.choice(("_shape", "shape")): self.sizes((rows, columns)),
            "data": self.array((count,), "f8"),
        }
        if self.lies(0.15):
            parts["_shape"] = self.tuple_of(self.integer(), self.integer())
        if layout == "coo":
            if self.chance(0.5):
                parts["coords"] = self.tuple_of(*map(self.vector, places))
            else:
                parts |= {"row": self.vector(places[0]), "col": self.vector(places[1])}
        else:
            inner, outer = places if layout == "csc" else places[::-1]
            size = columns if layout == "csc" else rows
            parts["indices"] = self.vector(inner)
            parts["indptr"] = self.vector([sum(place < i for place in outer) for i in range(size + 1)])
        kind = self.name(
            self.random.choice((f"scipy.sparse.{layout}", f"scipy.sparse._{layout}", "scipy.sparse")),
            f"{layout}_{self.random.choice(('matrix', 'array'))}",
        )
        return self.instance(kind, self.attributes(**parts))

    def chumpy(self) -> bytes:
        if self.chance(0.5):
            return self.instance(
                self.name("chumpy.ch", "Ch"), self.attributes(x=self.array() if not self.lies(0.1) else self.value())
            )
        places = [self.random.randrange(240) for _ in range(72)]
        source = self.array((8, 3, 10), "f8")
        source = source if self.chance(0.5) else self.instance(self.name("chumpy.ch", "Ch"), self.attributes(x=source))
        shape = self.sizes(self.random.choice(((8, 3, 3), (72,), (72, 1, 1), (71,))))
        return self.instance(
            self.name("chumpy.reordering", "Select"),
            self.attributes(a=source, idxs=self.vector(places), preferred_shape=shape),
        )

    # --- tensors

    def tensor(self) -> bytes:
        kind = self.random.choice(list(STORAGES))
        count = self.random.choice((0, 1, 12, 1000))
        key = str(self.random.randrange(4)) if self.chance(0.5) else str(len(self.storages))
        self.storages.setdefault(key, self.random.randbytes(count * STORAGES[kind] + self.lies(0.05)))
        parts = [self.text("storage"), self.name("torch", kind), self.text(key), self.text("cpu"), self.integer(count)]
        parts += (
            [b"N"]
            if self.chance(0.3)
            else [self.tuple_of(self.text("v"), self.integer(), self.integer())]
            if self.lies(0.1)
            else []
        )
        if self.lies(0.05):
            parts[self.random.randrange(len(parts))] = self.value()
        shapes = {0: (0, 3), 1: (1,), 12: (3, 4), 1000: (10, 100)}
        size = shapes[count]
        stride = [self.integer(size[1] if i == 0 and len(size) > 1 else 1) for i in range(len(size))]
        sizes = [self.integer(n) for n in size]
        if self.lies(0.15):
            self.random.choice((sizes, stride))[0] = self.integer()
        offset = self.integer(0) if not self.lies(0.1) else self.integer()
        arguments = [self.tuple_of(*parts) + b"Q", offset, self.tuple_of(*sizes), self.tuple_of(*stride), b"\x89", b"N"]
        if self.lies(0.05):
            arguments[self.random.randrange(len(arguments))] = self.value()
        return self.call(
            self.name(
                "torch._utils", self.random.choice(("_rebuild_tensor_v2", "_rebuild_tensor_v2", "_rebuild_tensor"))
            ),
            *arguments,
        )

    def ordered(self) -> bytes:
        made = self.call(self.name("collections", self.random.choice(("OrderedDict", "defaultdict", "Counter"))))
        for _ in range(self.random.randrange(4)):
            made += self.text(self.random.choice(KEYS)) + self.value() + b"s"
        return made + (self.dictionary() + b"b" if self.lies(0.1) else b"")

    def other(self) -> bytes:
        """Objects that no reader makes, and opcodes at random."""
        form = self.random.randrange(5)
        if form == 0:
            return b"\x8f(" + self.value() + b"\x90"
        if form == 1:
            return self.random.randbytes(self.random.randrange(6))
        if form == 2:
            return self.call(self.name("torch._utils", "_rebuild_parameter"), self.value(), b"\x88", b"N")
        if form == 3:
            return b"(" + self.value() + self.value() + b"iargparse\nNamespace\n"
        return b"(" + self.name("collections", "OrderedDict") + self.value() + b"o"

    def value(self) -> bytes:
        self.budget -= 1
        if self.budget < 0:
            return b"N"
        parts = [self.value] * self.random.randrange(4)
        keys = [self.random.choice(KEYS) for _ in parts]
        made = {
            self.scalar: 6,
            self.array: 8,
            self.sparse: 3,
            self.chumpy: 3,
            self.tensor: 0 if self.kind == "arrays" else 12,
            self.ordered: 0 if self.kind == "arrays" else 2,
            self.nest: self.malice,
            self.recalled: 2,
            self.other: self.malice,
            lambda: self.dtype(self.random.choice(TYPES + STRANGE_TYPES)): self.malice,
            lambda: self.list_of(*(part() for part in parts)): 2,
            lambda: self.tuple_of(*(part() for part in parts)): 1,
            lambda: self.dictionary(*(self.text(key) + part() for key, part in zip(keys, parts))): 1,
        }
        return self.random.choices(list(made), list(made.values()))[0]()

    def pickle(self) -> bytes:
        keys = self.random.sample(KEYS, self.random.randrange(1, 8))
        pairs = ((self.text(key) if not self.lies(0.03) else self.value()) + self.value() for key in keys)
        start = self.random.choice(
            (b"", b"\x80\x02", b"\x80\x05\x95" + struct.pack("<Q", self.random.choice((5, 2**63))))
        )
        return start + self.dictionary(*pairs) + b"."


def program(seed: int) -> bytes:
    """A file: a pickle, or one of torch's two formats around it."""
    made = Program(seed)
    data = made.pickle()
    if made.kind == "arrays":
        return data
    if made.kind == "archive":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as members:
            members.writestr("archive/data.pkl", data)
            for key, content in made.storages.items():
                members.writestr(f"archive/data/{key}", content)
        return stream.getvalue()
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, 1001, {"little_endian": True}))
    tail = pickle.dumps(list(made.storages), 2)
    sizes = (1, 2, 4, 8)
    for content in made.storages.values():
        width = made.random.choice(sizes)
        tail += (
            struct.pack("<q", len(content) // width if made.chance(0.95) else made.random.choice((-1, 2**40))) + content
        )
    return head + data + tail
