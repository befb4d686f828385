"""The photo job: many photos in one run, in several processes; the failure of one does not affect the others."""

import hashlib
import math
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import torch

from meshrec.detect import Detection, load_detector
from meshrec.detect.inputs import names_of_photos, of_name, read_boxes, read_keypoints
from meshrec.detect.keypoint_rows import ByPhoto
from meshrec.errors import InputError, MeshrecError
from meshrec.files import Photo, read_photo
from meshrec.files.atomic import require_writable
from meshrec.fit.gravity import GravitySettings
from meshrec.jobs.inputs import list_photos, unread_files
from meshrec.jobs.results import RECORD, finished, write_results
from meshrec.reconstruct.ground import Ground
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.reconstructor import Reconstructor, require_height
from meshrec.regress.weights import regressor_name

FORMATS = ("obj", "ply", "glb")


@dataclass(frozen=True)
class Settings:
    """Settings of a run: all that the results depend on besides the photos.

    Attributes:
        body: Name or path of the body, as for :func:`meshrec.load_body`.
        device: Device to compute on, such as "cpu" or "cuda".
        formats: Formats of the meshes, of obj, ply and glb.
        skinned: Whether each person's ``.glb`` gets a skeleton.
        focal: Focal length of all photos in pixels. Default: that of each photo's EXIF data.
        boxes: A file of boxes (:mod:`meshrec.detect.inputs`). If given, only the people in them are reconstructed.
        keypoints: A file or folder of keypoints, as for :func:`meshrec.detect.inputs.read_keypoints`, instead of the
            detector.
        keypoint_layout: Order of the keypoints, a name in :data:`meshrec.detect.layouts.LAYOUTS`. Default: what the
            file tells.
        pose_model: The detector, by name or network file as for :func:`meshrec.detect.load_detector`, such as a
            MediaPipe ``.task`` file. Default: the shipped networks.
        regressor: Name or checkpoint file, as for :class:`meshrec.Reconstructor`.
        refine: Whether to fit the regressor's estimates, as for :class:`meshrec.Reconstructor`.
        ground: Whether meshes and scenes have their floor at y = 0, as :class:`meshrec.reconstruct.Ground` says.
        height: Statures in metres: one of everyone, or one of each person in the order of the result. Default: what the
            photo suggests.

    Raises:
        InputError: Settings contradict each other, or one has no meaning.
    """

    body: str = "neutral"
    device: str = "cpu"
    formats: tuple[str, ...] = ("obj", "glb")
    skinned: bool = False
    focal: float | None = None
    boxes: Path | None = None
    keypoints: Path | None = None
    keypoint_layout: str | None = None
    pose_model: Path | None = None
    regressor: str | None = None
    refine: bool = True
    ground: bool = False
    height: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            raise InputError(f"unknown formats {', '.join(unknown)}: choose of {', '.join(FORMATS)}.")
        if self.skinned and "glb" not in self.formats:
            raise InputError("a skeleton needs the format glb: OBJ and PLY have none.")
        if self.focal is not None and not (math.isfinite(self.focal) and self.focal > 0):
            raise InputError(f"the focal length must be a positive number of pixels, not {self.focal}.")
        if self.height is not None:
            if not self.height:
                raise InputError("a height must be a number of metres, or several separated by commas.")
            require_height(self.height)
        if self.boxes is not None and self.keypoints is not None:
            raise InputError("give boxes or keypoints, not both: keypoints already tell where people are.")
        if self.keypoint_layout is not None and self.keypoints is None:
            raise InputError("a keypoint layout is for a file of keypoints, and there is none.")


@dataclass(frozen=True)
class Job:
    """A photo that a run has to reconstruct.

    Attributes:
        photo: The photo's file.
        folder: The folder for its results.
        request: All that the results depend on besides the photo. It is stored with them, so that a later run can tell
            whether they are still valid.
        boxes: (N, 4) the user's boxes x0, y0, x1, y1 in photo pixels, or None.
        people: The user's detections, or None.
    """

    photo: Path
    folder: Path
    request: dict[str, object]
    boxes: np.ndarray | None = None
    people: list[Detection] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one photo.

    Attributes:
        photo: The photo's file.
        folder: The folder for its results.
        people: Number of people found; None if the photo failed.
        error: A sentence that says why the photo failed; None if it did not.
        notes: Remarks for the user.
        skipped: Whether an earlier run had finished the photo.
    """

    photo: Path
    folder: Path
    people: int | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()
    skipped: bool = False


@dataclass(frozen=True)
class Plan:
    """The work of a run.

    Attributes:
        jobs: Photos that have to be reconstructed.
        outcomes: Photos that are finished, or have failed, before the run starts.
        notes: Remarks for the user on what is left out: files in folders that are not read, entries of the file of
            keypoints.
    """

    jobs: list[Job]
    outcomes: list[Outcome]
    notes: tuple[str, ...] = ()


def plan_run(
    sources: Sequence[str | os.PathLike], out: str | os.PathLike, settings: Settings, force: bool = False
) -> Plan:
    """List the photos of a run, and find those that are already finished.

    Args:
        sources: Files, folders and patterns, as for :func:`meshrec.jobs.inputs.list_photos`.
        out: The folder for all results.
        settings: Settings of the run.
        force: Whether to reconstruct finished photos again.

    Returns:
        The plan.

    Raises:
        InputError: There are no photos, their results would overwrite each other, or the file of boxes or keypoints is
            wrong.
    """
    evidence = _read_evidence(settings)
    tasks = list_photos(sources, out)
    names = {} if evidence is None else names_of_photos(evidence, [task.photo for task in tasks])
    file = settings.boxes or settings.keypoints
    plan = Plan([], [], (*unread_files(sources, out), *(evidence.notes(file) if evidence is not None and file else ())))
    for task in tasks:
        try:
            job = _job(task.photo, task.folder, settings, evidence, names.get(task.photo))
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
    """Reconstruct everyone in many photos, and write the files that :mod:`meshrec.jobs.results` lists.

    If a run is interrupted at any moment, even by ``kill -9``, all files are complete, and the next plan contains the
    photos that are missing.

    Args:
        jobs: The jobs of :func:`plan_run`.
        settings: The settings of the plan.
        processes: Number of photos to work on at the same time; each needs 0.75 GB of memory, and up to 1.6 GB if it is
            large.

    Returns:
        The outcome of each photo as soon as it is finished.

    Raises:
        InputError: The number of processes is less than 1, or no photo can be reconstructed because the body, the
            device, the regressor or the detector is wrong.
        MissingDependency: The detector's package is not installed.
    """
    if processes < 1:
        raise InputError(f"the number of processes must be at least 1, not {processes}.")
    return _in_processes(jobs, settings, processes) if min(processes, len(jobs)) > 1 else _here(jobs, settings)


def _read_evidence(settings: Settings) -> ByPhoto[Any] | None:
    """The user's boxes or detections by photo name; None if there are none."""
    if settings.boxes is not None:
        return read_boxes(settings.boxes)
    return None if settings.keypoints is None else read_keypoints(settings.keypoints, settings.keypoint_layout)


def _job(photo: Path, folder: Path, settings: Settings, evidence: ByPhoto[Any] | None, name: str | None) -> Job:
    """The job of one photo, with the boxes or keypoints that are kept under this name."""
    request: dict[str, object] = {
        "body": settings.body,
        "formats": sorted(settings.formats),
        "skinned": settings.skinned,
        "focal": settings.focal,
        "pose_model": None if settings.pose_model is None else str(settings.pose_model),
        "regressor": regressor_name(settings.regressor),
        "refine": settings.refine,
        "ground": settings.ground,
        "height": None if settings.height is None else list(settings.height),
    }
    if evidence is None:
        return Job(photo, folder, request)
    if name is None:
        raise InputError(f"{photo}: {settings.boxes or settings.keypoints} does not name this photo.")
    found = of_name(evidence, name)
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
    if (
        settings.keypoints is None
    ):  # loaded now, so that one error ends the run if it is missing, and not one for each photo
        detector = load_detector(settings.pose_model)
    return Reconstructor(settings.device, settings.regressor, settings.body, detector, settings.refine)


def _reconstruct(job: Job, reconstructor: Reconstructor, settings: Settings) -> Outcome:
    try:
        photo = read_photo(job.photo)
        require_writable(job.folder / RECORD)  # before the work, not after it
        height = settings.height[0] if settings.height is not None and len(settings.height) == 1 else settings.height
        people = reconstructor(photo, boxes=job.boxes, keypoints=job.people, focal=settings.focal, height=height)
        ground = None
        if settings.ground and people:
            known = GravitySettings() if height is None else GravitySettings(stature=0.0)
            ground = Ground.under(people, known)
        notes = _notes(photo, job, people)
        photo, form = replace(photo, notes=notes), (settings.formats, settings.skinned)
        write_results(job.folder, photo, people, *form, job.request, ground)
    except MeshrecError as error:
        return Outcome(job.photo, job.folder, error=_sentence(job.photo, error))
    except Exception as error:  # a bug that one photo triggers must not end the work on the others
        reason = f"unexpected {type(error).__name__} ({error}); this is a bug in meshrec, please report it."
        return Outcome(job.photo, job.folder, error=f"{job.photo}: {reason}")
    return Outcome(job.photo, job.folder, len(people), notes=notes)


def _notes(photo: Photo, job: Job, people: Sequence[Person]) -> tuple[str, ...]:
    """What the user should know of the results of a photo."""
    notes = [*photo.notes]
    if job.boxes is not None and len(people) < len(job.boxes):
        notes.append(f"{len(job.boxes) - len(people)} of {len(job.boxes)} boxes show nobody")
    notes += [f"person_{number}: {note}" for number, person in enumerate(people) for note in person.notes]
    return tuple(notes)


def _sentence(photo: Path, error: MeshrecError) -> str:
    return str(error) if str(photo) in str(error) else f"{photo}: {error}"


def _in_processes(jobs: Sequence[Job], settings: Settings, count: int) -> Iterator[Outcome]:
    """Outcomes as photos are finished by ``count`` processes. If a process dies, only its photo fails."""
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
    """A process that reconstructs one photo after another. It ends when its parent ends, for whatever reason."""

    def __init__(self, settings: Settings, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks, but not the threads that hold them
        self.connection, theirs = context.Pipe()
        self.alive = True
        self._process = context.Process(target=_serve, args=(theirs, settings, threads), daemon=True)
        with _interrupts_held_back():
            self._process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        """Start a photo; the process must be idle."""
        self._job = job
        with suppress(OSError):  # the process has died already, which `take` reports
            self.connection.send(job)

    def take(self) -> Outcome:
        """Wait until the photo is finished.

        Raises:
            InputError: The process cannot reconstruct any photo.
        """
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
    """Receive jobs and send outcomes until the other end closes, or send a MeshrecError if no photo can be done."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
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


def _end_with(parent: int) -> None:
    """End this process as soon as its parent has ended, of which it otherwise hears only after its photo.

    A run that is killed holds the folder for results no longer, so that the next one may already be writing into it.
    """
    wait([parent])
    os._exit(1)
