"""Workers on the machines of a Ray cluster, which work on photos and clips beside each other.

All machines see the photos and the folder for results under the same paths, as on a network disk, unless both lie in a
store (:mod:`meshrec.jobs.remote`). A photo whose worker or machine is lost is given to another worker. There is always
one worker that has a photo, and its record is written last, so that results are written once, by whichever worker
finishes them.
"""

from __future__ import annotations

import os
import platform
import secrets
import socket
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import meshrec
from meshrec.errors import InputError, MeshrecError, MissingDependency
from meshrec.files.addresses import Location
from meshrec.jobs.plan import AnyJob, Outcome, Progress, RemoteJob

if TYPE_CHECKING:
    from meshrec.jobs.settings import Settings

TRIES = 3  # workers that are given a photo before it counts as what ends them
FAILED_STARTS = 3  # workers in a row that end before they are ready, after which the run ends
ANSWER_SECONDS = 10.0  # for the cluster's first answer
WORKER_BYTES = 1_600_000_000  # memory of a worker with a large photo


@dataclass(frozen=True)
class Place:
    """The folders of a run as the machine that started it sees them.

    Attributes:
        here: The current folder, to which paths are relative; None if all files lie in stores.
        mark: A file that the run has written into the folder for results; None if this lies in a store.
        version: The version of meshrec.
    """

    here: str | None
    mark: str | None
    version: str


def work_on_cluster(
    jobs: Sequence[AnyJob], settings: Settings, address: str, count: int | None = None
) -> Iterator[Outcome | Progress]:
    """Work on photos and clips on the machines of a Ray cluster.

    A photo or clip whose worker ends, for want of memory or because its machine is gone, is tried again elsewhere;
    a clip goes on where it stopped. After three lost workers it fails. Workers for which there is no room in the
    cluster begin as soon as there is.

    Args:
        jobs: The jobs of :func:`meshrec.jobs.plan.plan_run`.
        settings: The settings of the plan.
        address: ``host:port`` of the cluster, or ``auto`` for the one that this machine belongs to.
        count: Number of workers. Default: one for each CPU of the cluster, or for each GPU with ``device="cuda"``.

    Yields:
        The outcome of each photo and clip as soon as it is finished, and now and then how far a clip is.

    Raises:
        InputError: There is no such cluster, its machines do not see the folders, or nothing can be reconstructed.
        MissingDependency: Ray or the detector's package is not installed.
    """
    ray = _ray()
    if not jobs:
        return
    gpu = settings.device.startswith("cuda")
    with _connected(ray, address), _marked(jobs) as mark:
        if count is None:
            count = int(ray.cluster_resources().get("GPU" if gpu else "CPU", 0))
            if count < 1:
                raise InputError(f"the cluster at {address} has no {'GPUs' if gpu else 'CPUs'} for workers.")
        kind = ray.remote(_Worker).options(num_cpus=1, num_gpus=int(gpu), memory=WORKER_BYTES, max_restarts=0)
        here = os.getcwd() if any(map(_needs_disk, jobs)) else None
        crew = _Crew(ray, kind, settings, Place(here, mark, meshrec.__version__))
        try:
            yield from crew.work(jobs, min(count, len(jobs)))
        finally:
            crew.end()


class _Crew:
    """The workers of a run, as the process that hands out the work sees them."""

    def __init__(self, ray: ModuleType, kind: Any, settings: Settings, place: Place) -> None:
        self._ray, self._kind, self._settings, self._place = ray, kind, settings, place
        self._busy: dict[Any, tuple[Any, AnyJob | None]] = {}  # worker and job by what is waited for; no job: it starts
        self._idle: list[Any] = []
        self._failed_starts = 0

    def work(self, jobs: Sequence[AnyJob], count: int) -> Iterator[Outcome | Progress]:
        """Hand out jobs until all have an outcome."""
        waiting, losses, left = deque(jobs), Counter[Path | Location](), len(jobs)
        for _ in range(count):
            self._start()
        while left:
            while waiting and self._idle:
                worker, next_job = self._idle.pop(), waiting.popleft()
                self._busy[worker.work.remote(next_job)] = worker, next_job
            (ready,), _ = self._ray.wait(list(self._busy), num_returns=1)
            worker, job = self._busy.pop(ready)
            if job is None:
                self._take_in(worker, ready)
                continue
            try:
                message = self._ray.get(next(ready))
            except self._ray.exceptions.RayError as error:
                # It may be alive behind a broken connection, and must not write beside the next one.
                self._ray.kill(worker)
                self._start()
                losses[job.source] += 1
                if losses[job.source] < TRIES:
                    waiting.appendleft(job)
                    continue
                message = _lost(job, error)
            else:
                if isinstance(message, Progress):
                    self._busy[ready] = worker, job
                else:
                    self._idle.append(worker)
            left -= isinstance(message, Outcome)
            yield message

    def end(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            with suppress(self._ray.exceptions.RayError):
                self._ray.kill(worker)

    def _start(self) -> None:
        worker = self._kind.remote()
        self._busy[worker.prepare.remote(self._settings, self._place)] = worker, None

    def _take_in(self, worker: Any, answer: Any) -> None:
        """Count a worker that has started as idle, or start another one if it has ended."""
        try:
            error = self._ray.get(answer)
        except self._ray.exceptions.RayError as lost:
            self._failed_starts += 1
            if self._failed_starts >= FAILED_STARTS:
                raise InputError(
                    f"workers of the cluster end before they begin ({_first_line(lost)}); is meshrec installed on all "
                    "machines, and do they have 1.6 GB of memory for each worker?"
                ) from lost
            self._ray.kill(worker)
            self._start()
            return
        if error is not None:
            raise error
        self._failed_starts = 0
        self._idle.append(worker)


class _Worker:
    """A process on some machine of the cluster, which keeps its networks from one job to the next."""

    def prepare(self, settings: Settings, place: Place) -> MeshrecError | None:
        """Load the networks; returns the reason if nothing can be reconstructed here."""
        import cv2
        import torch

        from meshrec.jobs.work import make_reconstructor

        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        host = platform.node() or "a machine of the cluster"
        if meshrec.__version__ != place.version:
            return InputError(
                f"{host} has meshrec {meshrec.__version__}, not {place.version}; install the same everywhere."
            )
        missing = place.here if place.here is not None and not os.path.isdir(place.here) else None
        if missing is None and place.mark is not None and not os.path.isfile(place.mark):
            missing = os.path.dirname(place.mark)
        if missing is not None:
            return InputError(
                f"{host} does not see {missing} as it is here; photos and results must lie on a disk that all "
                "machines of the cluster have under the same path."
            )
        if place.here is not None:
            os.chdir(place.here)
        self._settings = settings
        try:
            self._reconstructor = make_reconstructor(settings)
        except MeshrecError as error:
            return error
        return None

    def work(self, job: AnyJob) -> Iterator[Outcome | Progress]:
        """Work on one job, as :func:`meshrec.jobs.work.work_on` says."""
        from meshrec.jobs.work import work_on

        yield from work_on(job, self._reconstructor, self._settings)


def _ray() -> ModuleType:
    """Ray itself."""
    try:
        import ray
        import ray.exceptions
    except ModuleNotFoundError as error:
        raise MissingDependency('--ray needs Ray: pip install "meshrec[ray]".') from error
    return ray


@contextmanager
def _connected(ray: ModuleType, address: str) -> Iterator[None]:
    """A connection to a cluster; one that is there already is used, and stays."""
    if address.startswith("ray://"):
        raise InputError(f"--ray {address}: run meshrec on a machine of the cluster, and give auto or host:port.")
    if ray.is_initialized():
        yield
        return
    try:
        if address != "auto":
            _require_listener(address)
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"--ray {address}: no cluster can be reached there ({_first_line(error)}); start one with "
            "`ray start --head`, and give its host:port, or auto on its machines."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _require_listener(address: str) -> None:
    """Raise an ``OSError`` or ``ValueError`` if nobody answers there: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("this is no host:port")
    socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()


@contextmanager
def _marked(jobs: Sequence[AnyJob]) -> Iterator[str | None]:
    """A file in the folder for results, by which workers tell whether they see the same folder; None in a store."""
    folders = [_folder_on_disk(job) for job in jobs]
    on_disk = [os.path.abspath(folder) for folder in folders if folder is not None]
    if not on_disk:
        yield None
        return
    folder = Path(os.path.commonpath(on_disk))
    while not folder.is_dir():
        folder = folder.parent
    mark = folder / f".{secrets.token_hex(8)}.part"  # a name of unfinished files, which are never taken for results
    try:
        mark.touch()
        yield str(mark)
    except PermissionError as error:
        raise InputError(f"{folder}: {error.strerror}; choose another --out.") from error
    finally:
        with suppress(OSError):
            mark.unlink()


def _folder_on_disk(job: AnyJob) -> str | Path | None:
    """The folder for the results of a job; None if it lies in a store."""
    if isinstance(job, RemoteJob):
        return job.folder.path if job.folder.on_disk else None
    return job.folder


def _needs_disk(job: AnyJob) -> bool:
    """Whether the machines of a cluster need a common disk for a job."""
    source_on_disk = job.source.on_disk if isinstance(job.source, Location) else True
    return source_on_disk or _folder_on_disk(job) is not None


def _lost(job: AnyJob, error: Exception) -> Outcome:
    reason = f"{TRIES} workers ended while they worked on it ({_first_line(error)}); perhaps memory ran out."
    return Outcome(job.source, job.folder, error=f"{job.source}: {reason}", clip=job.clip)


def _first_line(error: Exception) -> str:
    """The first line of what Ray says, which explains at length."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:160] if lines else type(error).__name__
