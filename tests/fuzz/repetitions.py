"""Small files that refer many times to a large part of themselves: to look at all of it each time takes for ever."""

import random
import struct
import zlib
from itertools import product

OPCODES = 400_000  # of a file
LENGTH = 60_000  # of its large part
_NUMBERS = b"cnumpy.core.numeric\n_frombuffer\n(C\x08" + bytes(8) + b"cnumpy\ndtype\nU\x02%s\x85RK\x01\x85U\x01CtR"
ARRAYS = _NUMBERS % b"f8" + b"q\x010" + _NUMBERS % b"i8" + b"q\x020"  # a number, and a place, to be selected
LARGE = {
    "tuple": b"(%st",
    "list": b"(%sl",
    "set": b"(%s\x91",
    "tuple of a tuple": b"(%st\x85",
    "dictionary": b"}(%su",
    "persistent": b"(%stQ",
}
# What is done with the large part, which is at place 0 of the memo; each leaves one value.
USES = {
    "called": b"h\x00)R",
    "an argument": b"cbuiltins\nobject\nh\x00\x85R",
    "all arguments": b"cbuiltins\nobject\nh\x00R",
    "ordered": b"ccollections\nOrderedDict\nh\x00\x85R",
    "counted": b"ccollections\nCounter\nh\x00\x85R",
    "with missing values": b"ccollections\ndefaultdict\nh\x00\x85R",
    "a size": b"ctorch\nSize\nh\x00\x85R",
    "a type": b"cnumpy\ndtype\nh\x00\x85R",
    "a type's state": b"cnumpy\ndtype\nU\x02f8\x85Rh\x00b",
    "a number": b"cnumpy.core.multiarray\nscalar\nh\x00h\x00\x86R",
    "an array's state": b"cnumpy.core.multiarray\n_reconstruct\n)Rh\x00b",
    "an array's shape": b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01h\x00NNNtb",
    "an array's content": b"cnumpy.core.numeric\n_frombuffer\n(h\x00cnumpy\ndtype\nU\x02f8\x85RK\x08\x85U\x01CtR",
    "bytes": b"c_codecs\nencode\nh\x00U\x06latin1\x86R",
    "an encoding": b"c_codecs\nencode\nU\x01ah\x00\x86R",
    "a matrix' shape": b"cscipy.sparse\ncsc_matrix\n)R}U\x06_shapeh\x00sb",
    "a matrix' state": b"cscipy.sparse\ncoo_matrix\n)Rh\x00b",
    "constants": b"cchumpy.ch\nCh\n)R}U\x01xh\x00sb",
    "a selection": b"cchumpy.reordering\nSelect\n)R}(U\x01ah\x00U\x04idxsh\x00ub",
    "a selection's shape": b"cchumpy.reordering\nSelect\n)R}(U\x01ah\x01U\x04idxsh\x02U\x0fpreferred_shapeh\x00ub",
    "a tensor": b"ctorch._utils\n_rebuild_tensor_v2\n(h\x00K\x00h\x00h\x00tR",
    "a storage": b"h\x00Q",
    "a parameter": b"ctorch._utils\n_rebuild_parameter\nh\x00\x88N\x87R",
    "a key": b"}h\x00Ns",
    "a value": b"}U\x01ah\x00s",
    "an item": b"]h\x00a",
}


COMBINATIONS = list(product(USES.values(), [*LARGE, "text"]))


def first_seed(use: str) -> int:
    """The seed of the first of as many files as there are kinds of large parts, of which this is done with each."""
    return list(USES).index(use) * (len(LARGE) + 1)


def repetition(seed: int) -> bytes:
    """A file, compressed or not. Seeds in a row have one combination after the other."""
    choose = random.Random(seed)
    use, kind = COMBINATIONS[seed % len(COMBINATIONS)]
    # What may be a size, in the first round; later also what may not, and pairs.
    items = (b"K\x01", b"N", b"NN\x86", b"U\x01aN\x86")
    item = items[0] if seed < len(COMBINATIONS) else choose.choice(items)
    step = choose.choice((1, 1 << 12))  # of keys
    if kind == "text":
        large = b"T" + struct.pack("<i", 10 * LENGTH) + b"a" * (10 * LENGTH)
    elif kind == "dictionary":
        large = LARGE[kind] % b"".join(b"J" + struct.pack("<i", i * step) + b"N" for i in range(LENGTH))
    else:
        large = LARGE[kind] % (item * LENGTH)
    used = use + b"0" if choose.random() < 0.2 else use  # some are discarded as soon as they were made
    times = (OPCODES - 3 * LENGTH) // max(8, len(use) // 4)
    data = b"\x80\x02}X\x01\x00\x00\x00f(" + ARRAYS + large + b"q\x00" + used * times + b"ls."
    return zlib.compress(data, 9) if choose.random() < 0.2 else data
