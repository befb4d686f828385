"""Damaged copies of the files of real programs: bits, lengths, opcodes and parts are changed, moved and cut."""

import argparse
import io
import pickletools
import random
import struct
import zipfile
from functools import cache

import numpy as np
import scipy.sparse as sp
import torch
from helpers.paths import STORED
from helpers.pickles import constant, content, dumps, selection

from meshrec.benchmarks.random_body import random_arrays

OPCODES = [ord(opcode.code) for opcode in pickletools.opcodes]
LENGTHS = (0, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1)


@cache
def originals() -> list[bytes]:
    """Small files of every kind that is read."""
    files = [path.read_bytes() for path in sorted((STORED / "pickles").glob("*.pkl"))]
    files += [dumps(content(), protocol, python2=True) for protocol in (0, 1, 2)]
    files += [dumps(content(), protocol) for protocol in (0, 3, 5)]
    body: dict[str, object] = dict(random_arrays(vertices=4))
    wide = np.arange(240.0).reshape(4, 3, 20)
    body |= {"v_template": constant(body["v_template"]), "J_regressor": sp.csc_matrix(body["J_regressor"])}
    body |= {"shapedirs": selection(wide, np.arange(240).reshape(4, 3, 20)[..., :10].ravel(), (4, 3, 10))}
    body |= {"posedirs": body["posedirs"].astype("f4"), "bs_style": "lbs"}
    files += [dumps(body, 0, python2=True), dumps(body, 2, python2=True), dumps(body, 4)]
    files += [dumps(sequence(), 2, python2=True), dumps(sequence(), 5)]
    weights = {"conv1.weight": torch.randn(4, 3), "flags": torch.ones(5, dtype=torch.bool), "count": torch.tensor(3)}
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    training = {"state_dict": network.state_dict(), "epoch": 3, "args": argparse.Namespace(a=1), "best": np.float64(2)}
    for saved in ({"model": weights}, training):
        for zipped in (True, False):
            stream = io.BytesIO()
            torch.save(saved, stream, _use_new_zipfile_serialization=zipped)
            files.append(stream.getvalue())
    return files


def sequence() -> dict[str, object]:
    """A file as 3DPW's, of two people in three pictures."""
    matrix = np.array([[500.0, 0, 50], [0, 500, 50], [0, 0, 1]])
    return {
        "sequence": "street_00",
        "cam_intrinsics": matrix,
        "cam_poses": np.tile(np.eye(4), (3, 1, 1)),
        "campose_valid": [np.ones(3)] * 2,
        "poses": [np.zeros((3, 72)), np.ones((3, 72))],
        "betas": [np.zeros(10), np.ones(300)],
        "genders": ["m", "f"],
        "jointPositions": [np.ones((3, 72))] * 2,
        "poses2d": [np.ones((3, 3, 18))] * 2,
    }


@cache
def opcode_places(index: int) -> list[int]:
    """Where the opcodes of an original are, as far as the standard library can list them."""
    places = []
    try:
        for _, _, place in pickletools.genops(originals()[index]):
            places.append(place)
    except ValueError:
        pass
    return places


def mutated(data: bytes, choose: random.Random, places: list[int]) -> bytes:
    """One change."""
    made = bytearray(data)
    place = choose.choice(places) if places and choose.random() < 0.4 else choose.randrange(len(made))
    place = min(place, len(made) - 1)
    form = choose.choice((0, 0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8))
    if form == 0:
        made[place] ^= 1 << choose.randrange(8)
    elif form == 1:
        made[place] = choose.choice(OPCODES)
    elif form == 2:
        made[place] = choose.randrange(256)
    elif form == 3:
        made[place + 1 : place + 5] = struct.pack("<I", choose.choice(LENGTHS))
    elif form == 4:
        start, count = choose.randrange(len(made)), choose.randrange(1, 200)
        made[place:place] = made[start : start + count]
    elif form == 5:
        del made[place : place + choose.randrange(1, 60)]
    elif form == 6:
        del made[place:]
    elif form == 7:
        start, count = choose.randrange(len(made)), choose.randrange(1, 60)
        made[place : place + count] = made[start : start + count]
    else:
        made[place:place] = bytes([choose.choice(OPCODES)]) * choose.choice((1, 2, 50, 5000))
    return bytes(made) or b"."


def mutation(seed: int) -> bytes:
    """A damaged file."""
    choose = random.Random(seed)
    files = originals()
    index = choose.randrange(len(files))
    data, changes = files[index], choose.choice((1, 1, 1, 2, 5))
    if data.startswith(b"PK") and choose.random() < 0.7:  # within an archive that stays intact
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w") as target:
            for name in source.namelist():
                member = source.read(name)
                if name.endswith("data.pkl"):
                    for _ in range(changes):
                        member = mutated(member, choose, [])
                target.writestr(name, member)
        return stream.getvalue()
    if choose.random() < 0.1:  # the start of one file and the end of another
        other = choose.choice(files)
        data = data[: choose.randrange(len(data))] + other[choose.randrange(len(other)) :]
    for _ in range(changes):
        data = mutated(data, choose, opcode_places(index))
    return data
