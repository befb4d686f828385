"""The same photo gives the same people bit for bit: again, in another thread, in another process."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import cv2
import numpy as np
import pytest
import torch
from helpers.paths import EXAMPLES

from meshrec import Reconstructor
from meshrec.files import read_photo

FRESH = """
import sys, torch
torch.set_num_threads(int(sys.argv[2]))
from meshrec import Reconstructor
for person in Reconstructor()(sys.argv[1]):
    print(person.vertices.tobytes().hex())
    print(person.to_json())
"""


def told(reconstructor: Reconstructor, photo: Path | np.ndarray) -> list[str]:
    """All that is found in a photo; numbers in JSON are exact."""
    return [text for person in reconstructor(photo) for text in (person.vertices.tobytes().hex(), person.to_json())]


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    """Of one person, of another, of one who is mirrored and smaller, and of two."""
    dancer, astronaut = (read_photo(EXAMPLES / name).image for name in ("dancer.jpg", "astronaut.jpg"))
    smaller = np.ascontiguousarray(cv2.resize(dancer, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)[:, ::-1])
    return [dancer, astronaut, smaller, np.concatenate([astronaut, astronaut[:, ::-1]], axis=1)]


@pytest.fixture(scope="module")
def in_turn(photos) -> list[list[str]]:
    """What one thread finds in one photo after the other."""
    reconstructor = Reconstructor()
    return [told(reconstructor, photo) for photo in photos]


def at_once(work: Callable, items: list) -> list:
    """``[work(item), ...]``, each in a thread of its own, which all start together."""
    barrier = Barrier(len(items))

    def one(item):
        barrier.wait()
        return work(item)

    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(one, items))


def test_threads_that_share_a_reconstructor_find_what_one_finds(photos, in_turn):
    assert [len(texts) // 2 for texts in in_turn] == [1, 1, 1, 2]
    shared = Reconstructor()  # it has not loaded its detector yet
    assert at_once(lambda photo: told(shared, photo), photos) == in_turn


def test_threads_without_a_regressor(photos):
    """The fit then prepares its starts when it first needs them."""
    keypoints = Reconstructor()(photos[0])[0].keypoints_2d[None]

    def found(reconstructor: Reconstructor) -> str:
        (person,) = reconstructor(photos[0], keypoints=keypoints)
        return person.to_json()

    shared = Reconstructor(regressor="none")
    assert set(at_once(found, [shared] * 3)) == {found(Reconstructor(regressor="none"))}


def test_a_fresh_process_finds_the_same(in_turn):
    command = [sys.executable, "-c", FRESH, str(EXAMPLES / "dancer.jpg"), str(torch.get_num_threads())]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output == "".join(f"{text}\n" for text in in_turn[0])


def test_one_thread_loads_the_detector(monkeypatch):
    loaded = []

    def load() -> Callable:
        time.sleep(0.05)
        loaded.append(lambda image, boxes=None: [])
        return loaded[-1]

    monkeypatch.setattr("meshrec.reconstruct.body_estimator.load_detector", load)
    shared = Reconstructor()
    assert at_once(shared, [np.zeros((64, 64, 3), np.uint8)] * 4) == [[]] * 4
    assert len(loaded) == 1
