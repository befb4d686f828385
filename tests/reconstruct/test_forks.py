"""A forked process lacks the threads of the process it was forked from: it says so instead of waiting for them."""

import multiprocessing
import os

import numpy as np
import pytest

import meshrec
from meshrec.compiled import threads
from meshrec.detect.blazepose_detector import BlazePoseDetector

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are forked")
PHOTO = np.zeros((64, 64, 3), np.uint8)
WORK = {
    "used": lambda reconstructor, detector: reconstructor(PHOTO),
    "new": lambda reconstructor, detector: meshrec.Reconstructor(),
    "detector": lambda reconstructor, detector: detector(PHOTO),
    "new detector": lambda reconstructor, detector: BlazePoseDetector(),
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_a_forked_process_says_that_it_lacks_threads(work):
    reconstructor, detector = meshrec.Reconstructor(), BlazePoseDetector()
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def answer() -> None:
        try:
            theirs.send(repr(work(reconstructor, detector)))
        except meshrec.MeshrecError as error:
            theirs.send(str(error))

    process = context.Process(target=answer)
    process.start()
    assert ours.poll(60), "the process hangs"
    assert "multiprocessing.get_context('spawn')" in ours.recv()
    process.join()


def test_a_process_forked_before_may_work(monkeypatch):
    monkeypatch.setattr(threads, "_using", [])
    threads.require_own_threads()
    threads.require_own_threads()
    assert threads._using == [os.getpid()]
