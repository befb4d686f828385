"""Processes that work on photos and clips beside each other."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from threading import Thread

import cv2
import torch

from meshrec.errors import MeshrecError
from meshrec.jobs.plan import AnyJob, Outcome, Progress
from meshrec.jobs.settings import Settings
from meshrec.jobs.work import make_reconstructor, work_on


def work_in_processes(jobs: Sequence[AnyJob], settings: Settings, count: int) -> Iterator[Outcome | Progress]:
    """Work on photos and clips in ``count`` processes. If a process dies, only its photo or clip fails."""
    count = min(count, len(jobs))
    threads = max(1, (os.cpu_count() or 1) // count)
    waiting = iter(jobs)
    workers = [_Worker(settings, threads) for _ in range(count)]
    try:
        for worker in workers:
            worker.give(next(waiting))
        while workers:
            ready = wait([worker.connection for worker in workers])
            for worker in [worker for worker in workers if worker.connection in ready]:
                message = worker.take()
                if isinstance(message, Progress):
                    yield message
                    continue
                job = next(waiting, None)
                if job is None or not worker.alive:
                    workers.remove(worker)
                    worker.end()
                if job is not None:
                    if not worker.alive:
                        workers.append(worker := _Worker(settings, threads))
                    worker.give(job)
                yield message
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process that works on one job after another. It ends when its parent ends, for whatever reason."""

    def __init__(self, settings: Settings, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks, but not the threads that hold them
        self.connection, theirs = context.Pipe()
        self.alive = True
        self._process = context.Process(target=_serve, args=(theirs, settings, threads), daemon=True)
        with _interrupts_held_back():
            self._process.start()
        theirs.close()

    def give(self, job: AnyJob) -> None:
        """Start a job; the process must be idle."""
        self._job = job
        with suppress(OSError):  # the process has died already, which `take` reports
            self.connection.send(job)

    def take(self) -> Outcome | Progress:
        """Wait for news of the work.

        Raises:
            InputError: The process cannot reconstruct anything.
        """
        try:
            result = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            self.alive = False
            code = self._process.exitcode or 0
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            reason = f"the process that worked on it {how}; perhaps memory ran out."
            return Outcome(
                self._job.source, self._job.folder, error=f"{self._job.source}: {reason}", clip=self._job.clip
            )
        if isinstance(result, MeshrecError):
            raise result
        return result

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self.connection.close()
        self._process.terminate()
        self._process.join()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes started meanwhile ignore Ctrl-C, which a terminal sends to all processes: their parent ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, settings: Settings, threads: int) -> None:
    """Receive jobs and send news of them until the other end closes, or send a MeshrecError if none can be done."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            reconstructor = make_reconstructor(settings)
        except MeshrecError as error:
            connection.send(error)
            return
        while True:
            for message in work_on(connection.recv(), reconstructor, settings):
                connection.send(message)


def _end_with(parent: int) -> None:
    """End this process as soon as its parent has ended, of which it otherwise hears only after its job.

    A run that is killed holds the folder for results no longer, so that the next one may already be writing into it.
    """
    wait([parent])
    os._exit(1)
