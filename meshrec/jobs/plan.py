"""The plan of a run: the photos and clips that have to be reconstructed, and those that are finished."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.detect import Detection
from meshrec.detect.inputs import found_in_frames, names_of_photos, of_name, read_boxes, read_keypoints
from meshrec.detect.keypoint_rows import ByPhoto
from meshrec.errors import InputError, MeshrecError
from meshrec.files.addresses import Location
from meshrec.files.still_frames import frames_in
from meshrec.files.stores import StoredFile
from meshrec.jobs.clip_results import CLIP
from meshrec.jobs.inputs import Task, list_inputs, unread_files
from meshrec.jobs.records import finished
from meshrec.jobs.results import PHOTO
from meshrec.jobs.settings import Settings
from meshrec.regress.weights import NONE, regressor_name


@dataclass(frozen=True)
class Job:
    """A photo or clip that a run has to reconstruct.

    Attributes:
        source: The file.
        folder: The folder for its results.
        request: All that the results depend on besides the file. It is stored with them, so that a later run can tell
            whether they are still valid.
        boxes: (N, 4) the user's boxes x0, y0, x1, y1 in photo pixels, or None.
        people: The user's detections, or None.
        clip: Whether it is a clip.
        frames: The user's boxes or detections in the frames of a clip, by their numbers, or None.
    """

    source: Path
    folder: Path
    request: dict[str, object]
    boxes: np.ndarray | None = None
    people: list[Detection] | None = None
    clip: bool = False
    frames: dict[int, np.ndarray | list[Detection]] | None = None


@dataclass(frozen=True)
class HeldResults:
    """Results that a store holds of a photo or clip.

    Attributes:
        path: The file of which they are, as their record has it.
        sha256: The hash of its content.
        people: Number of people.
        fit: Whether they are complete, and those of the run's request.
    """

    path: str
    sha256: str
    people: int
    fit: bool


@dataclass(frozen=True)
class RemoteJob:
    """A photo or clip that lies in a store, or whose results go into one, as :mod:`meshrec.jobs.remote` says.

    Attributes:
        source: The file, or the folder of a clip's frames.
        folder: The folder for its results.
        clip: Whether it is a clip. Of files in stores this is a guess by the name, until they are copied.
        file: What the store tells of the file; None if it lies on a disk.
        as_photo, as_clip: What there is to do if it is a photo and if it is a clip, or a sentence why this cannot be
            done. Their folders are no real ones, and their sources neither if it lies in a store.
        held: Results in the folder of which only the file's content can tell whether they are of this file; those of a
            photo under False, those of a clip under True.
        scratch: The folder for copies.
    """

    source: Path | Location
    folder: Location
    clip: bool
    file: StoredFile | None
    as_photo: Job | str
    as_clip: Job | str
    held: Mapping[bool, HeldResults]
    scratch: Path


AnyJob = Job | RemoteJob


@dataclass(frozen=True)
class Outcome:
    """What became of one photo or clip.

    Attributes:
        source: The file.
        folder: The folder for its results.
        people: Number of people found; None if it failed.
        error: A sentence that says why it failed; None if it did not.
        notes: Remarks for the user.
        skipped: Whether an earlier run had finished it.
        clip: Whether it is a clip.
    """

    source: Path | Location
    folder: Path | Location
    people: int | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()
    skipped: bool = False
    clip: bool = False


@dataclass(frozen=True)
class Progress:
    """How far the work on a clip is.

    Attributes:
        source: The clip's file.
        stage: What is done at the moment, such as "finding people".
        done: Frames that are done.
        total: All frames; None if the file does not tell.
    """

    source: Path | Location
    stage: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Plan:
    """The work of a run.

    Attributes:
        jobs: Photos that have to be reconstructed.
        outcomes: Photos that are finished, or have failed, before the run starts.
        notes: Remarks for the user on what is left out: files in folders that are not read, entries of the file of
            keypoints.
    """

    jobs: Sequence[AnyJob]
    outcomes: list[Outcome]
    notes: tuple[str, ...] = ()


def plan_run(
    sources: Sequence[str | os.PathLike], out: str | os.PathLike, settings: Settings, force: bool = False
) -> Plan:
    """List the photos of a run, and find those that are already finished.

    Args:
        sources: Files, folders and patterns, as for :func:`meshrec.jobs.inputs.list_inputs`.
        out: The folder for all results.
        settings: Settings of the run.
        force: Whether to reconstruct finished photos again.

    Returns:
        The plan.

    Raises:
        InputError: There are no photos, their results would overwrite each other, or the file of boxes or keypoints is
            wrong.
    """
    evidence = read_evidence(settings)
    tasks = list_inputs(sources, out, settings.folders_are_clips)
    names = {} if evidence is None else names_of_photos(evidence, [task.source for task in tasks if not task.clip])
    file = settings.boxes or settings.keypoints
    jobs: list[Job] = []
    plan = Plan(
        jobs, [], (*unread_files(sources, out), *(evidence.notes(file) if evidence is not None and file else ()))
    )
    for task in tasks:
        try:
            job = clip_job(task, settings, evidence) if task.clip else photo_job(task, settings, evidence, names)
            people = None if force else finished(job.folder, CLIP if job.clip else PHOTO, job.source, job.request)
        except InputError as error:
            plan.outcomes.append(Outcome(task.source, task.folder, error=sentence(task.source, error), clip=task.clip))
            continue
        if people is None:
            jobs.append(job)
        else:
            plan.outcomes.append(Outcome(job.source, job.folder, people, skipped=True, clip=job.clip))
    return plan


def read_evidence(settings: Settings) -> ByPhoto[Any] | None:
    """The user's boxes or detections by photo name; None if there are none."""
    if settings.boxes is not None:
        return read_boxes(settings.boxes)
    return None if settings.keypoints is None else read_keypoints(settings.keypoints, settings.keypoint_layout)


def request_of(settings: Settings) -> dict[str, object]:
    """What the results of photos and clips depend on."""
    # Only if there is one, so that results of versions without it stay finished.
    estimated = {} if settings.focal_network is None else {"focal_network": str(settings.focal_network)}
    return estimated | {
        "body": settings.body,
        "focal": settings.focal,
        "pose_model": None if settings.pose_model is None else str(settings.pose_model),
        "regressor": regressor_name(settings.regressor),
        "refine": settings.refine,
        "ground": settings.ground,
        "height": None if settings.height is None else list(settings.height),
    }


def photo_job(task: Task, settings: Settings, evidence: ByPhoto[Any] | None, names: Mapping[Path, str | None]) -> Job:
    """The job of one photo, with the boxes or keypoints that are kept under its name."""
    request = request_of(settings) | {"formats": sorted(settings.formats), "skinned": settings.skinned}
    request |= {"texture": True} if settings.texture else {}  # so that results of earlier versions stay valid
    if settings.depth:
        request |= {"depth": True, "depth_unit": settings.depth_unit, "regressor": NONE}
    if evidence is None:
        return Job(task.source, task.folder, request)
    name = names.get(task.source)
    if name is None:
        raise InputError(f"{task.source}: {settings.boxes or settings.keypoints} does not name this photo.")
    found = of_name(evidence, name)
    if settings.boxes is not None:
        request["boxes"] = found.tolist()
        return Job(task.source, task.folder, request, boxes=found)
    request["keypoints"] = _digest(found)
    return Job(task.source, task.folder, request, people=found)


def clip_job(task: Task, settings: Settings, evidence: ByPhoto[Any] | None) -> Job:
    """The job of one clip, with the boxes or keypoints that are kept under the names or numbers of its frames."""
    request = request_of(settings) | {"clip": asdict(settings.clip)}
    if evidence is None:
        return Job(task.source, task.folder, request, clip=True)
    files = frames_in(task.source) if os.path.isdir(task.source) else []
    frames = found_in_frames(evidence, task.source, files)
    if not frames:
        raise InputError(f"{task.source}: {settings.boxes or settings.keypoints} names no frames of this clip.")
    found = [frames[number] for number in sorted(frames)]
    if settings.boxes is not None:
        request["boxes"] = hashlib.sha256(b"".join(boxes.tobytes() for boxes in found)).hexdigest()[:16]
    else:
        request["keypoints"] = _digest([person for people in found for person in people])
    return Job(task.source, task.folder, request, clip=True, frames=frames)


def _digest(people: Sequence[Detection]) -> str:
    digest = hashlib.sha256()
    for person in people:
        digest.update(person.box.tobytes() + person.keypoints.tobytes() + person.joint_set.encode())
    return digest.hexdigest()[:16]


def sentence(photo: Path | Location, error: MeshrecError) -> str:
    """An error as a sentence that names the file to which it belongs."""
    return str(error) if str(photo) in str(error) else f"{photo}: {error}"
