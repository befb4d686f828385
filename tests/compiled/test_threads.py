"""Parts of a batch on several threads: each row is done once, whoever does it."""

import threading

import numpy as np
import pytest
import torch

from meshrec.compiled.threads import over_batch


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", [0, 1, 2, 7, 64])
def test_each_row_is_done_once(size, threads):
    rows, counts = np.arange(size), np.zeros(size, int)

    def add(rows: np.ndarray, counts: np.ndarray, offset: np.ndarray) -> None:
        counts += 1 + 0 * rows + offset

    over_batch(add, [rows, counts], [np.array(3)])
    assert (counts == 4).all()


def test_a_batch_ends_although_no_other_thread_is_free():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    held, done = threading.Event(), np.zeros(8, int)

    def wait(rows: np.ndarray) -> None:  # one call of two parts, whose other thread waits
        if threading.current_thread() is not threading.main_thread():
            held.wait()

    def add(rows: np.ndarray) -> None:
        rows += 1

    waiting = threading.Thread(target=over_batch, args=(wait, [np.zeros(2)], []))
    try:
        waiting.start()
        over_batch(add, [done], [])
        assert (done == 1).all()
    finally:
        held.set()
        waiting.join()
        torch.set_num_threads(before)


def test_an_error_reaches_the_caller(threads):
    def fail(rows: np.ndarray) -> None:
        raise ValueError("of a kernel")

    with pytest.raises(ValueError, match="of a kernel"):
        over_batch(fail, [np.zeros(16)], [])
