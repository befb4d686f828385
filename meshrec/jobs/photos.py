"""Many photos in one run: in several processes, with one photo's failure kept from the others."""

import hashlib
import math
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import cv2
import numpy as np
import torch

from meshrec.detect import Detection
from meshrec.detect.inputs import for_photo, read_boxes, read_keypoints
from meshrec.errors import InputError, MeshrecError
from meshrec.files import read_photo
from meshrec.files.atomic import require_writable
from meshrec.jobs.inputs import list_photos
from meshrec.jobs.results import RECORD, finished, write_results
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.regress.weights import regressor_name

FORMATS = ("obj", "ply", "glb")


@dataclass(frozen=True)
class Settings:
    """What the results of a run depend on, beside the photos.

    Attributes:
        body: As for :func:`meshrec.load_body`, by name or path.
        device: Where to compute, such as "cpu" or "cuda".
        formats: Of obj, ply, glb.
        skinned: Give the people's ``.glb`` a skeleton.
        focal: Focal length of all photos in pixels; default what each photo's EXIF says.
        boxes: A boxes file (:mod:`meshrec.detect.inputs`): only these people.
        keypoints: An OpenPose or COCO file or folder, instead of the detector.
        pose_model: A MediaPipe ``.task`` file, instead of the networks in its wheel.
        regressor, refine: As for :class:`meshrec.Reconstructor`, by name or path.
    """

    body: str = "neutral"
    device: str = "cpu"
    formats: tuple[str, ...] = ("obj", "glb")
    skinned: bool = False
    focal: float | None = None
    boxes: Path | None = None
    keypoints: Path | None = None
    pose_model: Path | None = None
    regressor: str | None = None
    refine: bool = True

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            raise InputError(f"unknown formats {', '.join(unknown)}: choose of {', '.join(FORMATS)}.")
        if self.skinned and "glb" not in self.formats:
            raise InputError("a skeleton needs the format glb: OBJ and PLY have none.")
        if self.focal is not None and not (math.isfinite(self.focal) and self.focal > 0):
            raise InputError(f"the focal length must be a positive number of pixels, not {self.focal}.")
        if self.boxes is not None and self.keypoints is not None:
            raise InputError("give boxes or keypoints, not both: keypoints already say where people are.")


@dataclass(frozen=True)
class Job:
    """One photo to do.

    Attributes:
        photo: Its file.
        folder: For its results.
        request: All that the results depend on beside the photo; kept with them, to know later whether they are done.
        boxes, people: The user's own for this photo, boxes (N, 4) or detections.
    """

    photo: Path
    folder: Path
    request: dict[str, object]
    boxes: np.ndarray | None = None
    people: list[Detection] | None = None


@dataclass(frozen=True)
class Outcome:
    """How one photo went.

    Attributes:
        photo: Its file.
        folder: For its results.
        people: How many were found, None where the photo failed.
        error: Why it failed.
        notes: What the user should know about the photo.
        skipped: It was finished before.
    """

    photo: Path
    folder: Path
    people: int | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()
    skipped: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run has to do, and what of it is done, or has failed, before it starts."""

    jobs: list[Job]
    outcomes: list[Outcome]


def plan_run(
    sources: Sequence[str | os.PathLike], out: str | os.PathLike, settings: Settings, force: bool = False
) -> Plan:
    """Find the photos of a run and what is already finished.

    Args:
        sources, out: As for :func:`meshrec.jobs.inputs.list_photos`.
        settings: What to do with them.
        force: Also redo what is finished.

    Raises:
        InputError: There are no photos, or the file of boxes or keypoints is wrong.
    """
    plan = Plan([], [])
    evidence = _read_evidence(settings)
    for task in list_photos(sources, out):
        try:
            job = _job(task.photo, task.folder, settings, evidence)
            people = None if force else finished(job.folder, job.photo, job.request)
        except InputError as error:
            plan.outcomes.append(Outcome(task.photo, task.folder, error=_sentence(task.photo, error)))
            continue
        if people is None:
            plan.jobs.append(job)
        else:
            plan.outcomes.append(Outcome(job.photo, job.folder, people, skipped=True))
    return plan


def reconstruct_photos(jobs: Sequence[Job], settings: Settings, processes: int = 1) -> Iterator[Outcome]:
    """Reconstruct everyone in many photos and write the files that :mod:`meshrec.jobs.results` lists.

    Interrupted at any moment, even by ``kill -9``, it leaves whole files only, and the next plan has what is missing.

    Args:
        jobs: As :func:`plan_run` finds them.
        settings: The plan's.
        processes: How many photos to work on at a time; each takes about a gigabyte of memory.

    Returns:
        How each photo went, as they are done.

    Raises:
        InputError: No photo can be done: the body, the device or the regressor is wrong.
        MissingDependency: The detector's package is not installed.
    """
    if processes < 1:
        raise InputError(f"the number of processes must be at least 1, not {processes}.")
    return _in_processes(jobs, settings, processes) if min(processes, len(jobs)) > 1 else _here(jobs, settings)


def _read_evidence(settings: Settings) -> dict | None:
    """The user's boxes or keypoints, by photo name; None where the detector is to find people."""
    if settings.boxes is not None:
        return read_boxes(settings.boxes)
    return None if settings.keypoints is None else read_keypoints(settings.keypoints)


def _job(photo: Path, folder: Path, settings: Settings, evidence: dict | None) -> Job:
    request: dict[str, object] = {
        "body": settings.body,
        "formats": sorted(settings.formats),
        "skinned": settings.skinned,
        "focal": settings.focal,
        "pose_model": None if settings.pose_model is None else str(settings.pose_model),
        "regressor": regressor_name(settings.regressor),
        "refine": settings.refine,
    }
    if evidence is None:
        return Job(photo, folder, request)
    found = for_photo(evidence, photo)
    if found is None:
        raise InputError(f"{photo}: {settings.boxes or settings.keypoints} does not name this photo.")
    if settings.boxes is not None:
        request["boxes"] = found.tolist()
        return Job(photo, folder, request, boxes=found)
    digest = hashlib.sha256()
    for person in found:
        digest.update(person.box.tobytes() + person.keypoints.tobytes() + person.joint_set.encode())
    request["keypoints"] = digest.hexdigest()[:16]
    return Job(photo, folder, request, people=found)


def _here(jobs: Sequence[Job], settings: Settings) -> Iterator[Outcome]:
    if jobs:
        reconstructor = _reconstructor(settings)
        for job in jobs:
            yield _reconstruct(job, reconstructor, settings)


def _reconstructor(settings: Settings) -> Reconstructor:
    detector = None
    if settings.keypoints is None:  # loaded now, so that a missing one ends the run and not each photo
        from meshrec.detect.mediapipe_detector import MediaPipeDetector

        detector = MediaPipeDetector(settings.pose_model)
    return Reconstructor(settings.device, settings.regressor, settings.body, detector, settings.refine)


def _reconstruct(job: Job, reconstructor: Reconstructor, settings: Settings) -> Outcome:
    try:
        photo = read_photo(job.photo)
        require_writable(job.folder / RECORD)  # now, not when the work is done
        people = reconstructor(photo, boxes=job.boxes, keypoints=job.people, focal=settings.focal)
        write_results(job.folder, photo, people, settings.formats, settings.skinned, job.request)
    except MeshrecError as error:
        return Outcome(job.photo, job.folder, error=_sentence(job.photo, error))
    except Exception as error:  # whatever is wrong with one photo must not end a night's work on the others
        reason = f"unexpected {type(error).__name__} ({error}); this is a fault of meshrec, please report it."
        return Outcome(job.photo, job.folder, error=f"{job.photo}: {reason}")
    notes = photo.notes
    if job.boxes is not None and len(people) < len(job.boxes):
        notes = (*notes, f"{len(job.boxes) - len(people)} of {len(job.boxes)} boxes show nobody")
    return Outcome(job.photo, job.folder, len(people), notes=notes)


def _sentence(photo: Path, error: MeshrecError) -> str:
    return str(error) if str(photo) in str(error) else f"{photo}: {error}"


def _in_processes(jobs: Sequence[Job], settings: Settings, count: int) -> Iterator[Outcome]:
    """Photos as they are done, each by one of ``count`` processes. A process that dies fails its photo alone."""
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
                outcome = worker.take()
                job = next(waiting, None)
                if job is None or not worker.alive:
                    workers.remove(worker)
                    worker.end()
                if job is not None:
                    if not worker.alive:
                        workers.append(worker := _Worker(settings, threads))
                    worker.give(job)
                yield outcome
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process that does one photo after another. It ends with its parent, whatever ends that."""

    def __init__(self, settings: Settings, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks without the threads
        self.connection, theirs = context.Pipe()
        self.alive = True
        self._process = context.Process(target=_serve, args=(theirs, settings, threads), daemon=True)
        with _interrupts_held_back():
            self._process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        self._job = job
        with suppress(OSError):  # it has died already: `take` will see that
            self.connection.send(job)

    def take(self) -> Outcome:
        """Wait for the photo to be done."""
        try:
            result = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            self.alive = False
            code = self._process.exitcode or 0
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            reason = f"the process that worked on it {how}; perhaps memory ran out."
            return Outcome(self._job.photo, self._job.folder, error=f"{self._job.photo}: {reason}")
        if isinstance(result, MeshrecError):
            raise result
        return result

    def end(self) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.join()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """What starts meanwhile never sees Ctrl-C, which a terminal sends to all processes: the parent ends the others."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, settings: Settings, threads: int) -> None:
    """Photos in, outcomes out, until the other end closes; a MeshrecError says that no photo can be done."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            reconstructor = _reconstructor(settings)
        except MeshrecError as error:
            connection.send(error)
            return
        while True:
            connection.send(_reconstruct(connection.recv(), reconstructor, settings))
