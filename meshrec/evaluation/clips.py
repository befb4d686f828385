"""Evaluation on clips: frames of one camera are reconstructed together, and their people are scored as in photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from meshrec.body import NUM_BETAS, BodyModel, load_body
from meshrec.body.joints import JOINT_SETS
from meshrec.body.state import BodyState
from meshrec.data.sample import Sample, Samples
from meshrec.detect.people import Detection, Detector, box_iou
from meshrec.errors import InputError
from meshrec.evaluation.collector import Collector
from meshrec.evaluation.datasets import EvaluationSet, open_evaluation_set
from meshrec.evaluation.methods import DETECTOR, Method, among
from meshrec.evaluation.prediction import Bodies
from meshrec.evaluation.progress import followed
from meshrec.evaluation.report import Report
from meshrec.evaluation.run import compare
from meshrec.evaluation.subjects import Subject, assumed_camera, labelled_box
from meshrec.evaluation.truth import truth_of
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.reconstruct.track import Track
from meshrec.regress.weights import NONE

STAGE = "clip"


def compare_clips(
    methods: Sequence[Method],
    dataset: str | EvaluationSet,
    body: str | Path | BodyModel = "neutral",
    pictures: str | Path | None = None,
    bodies: Mapping[str, str | Path] | None = None,
    limit: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    detector: Detector | None = None,
    **options: Any,
) -> list[Report]:
    """Evaluate methods on each frame alone, and on the frames of each sequence as a clip.

    Args:
        methods: The methods: networks with or without the fit, or the fit alone.
        dataset, body, pictures, bodies, limit, device, progress, options: As for :func:`meshrec.evaluation.compare`.
        detector: Finds people in clips. Default: the shipped one.

    Returns:
        The reports of each frame alone, in the order of the methods, and then those of clips.

    Raises:
        InputError: An argument names something that does not exist, the data set has no clips, or a method makes no
            bodies of detected people.
    """
    for method in methods:
        if method.checkpoint == DETECTOR:
            raise InputError("the detector's own joints are of single frames; name networks for --clips.")
    own = body if isinstance(body, BodyModel) else load_body(body).truncated(NUM_BETAS)
    others = {name: load_body(file).truncated(NUM_BETAS) for name, file in (bodies or {}).items()}
    data = dataset if isinstance(dataset, EvaluationSet) else open_evaluation_set(dataset, own, pictures, others)
    if options.get("joints"):
        data = replace(data, joints=options["joints"])
    alone = compare(methods, data, own, limit=limit, device=device, progress=progress, **options)
    data = data if limit is None else data.thinned(limit)
    together = []
    for method in methods:
        regressor = NONE if method.checkpoint is None else method.checkpoint
        reconstructor = Reconstructor(device, regressor, own, detector, refine=method.fit or method.checkpoint is None)
        together.append(evaluate_clips(reconstructor, data, progress=progress))
    return [*alone, *together]


def evaluate_clips(
    reconstructor: Reconstructor, data: EvaluationSet, worst: int = 8, smooth: float = 0.5, progress: bool = False
) -> Report:
    """Evaluate a reconstructor on the clips of a data set.

    All samples of a sequence are the frames of a clip, whether they are scored or not. The labelled person is who
    overlaps the labelled box most in each frame.

    Args:
        reconstructor: Finds, follows and fits the people.
        data: A data set whose samples have sequences and times.
        worst: Number of the worst people to keep for pictures.
        smooth: How smooth motions are, from 0 to 1.
        progress: Show a progress bar.

    Raises:
        InputError: The samples have no sequences.
    """
    if not data.samples[data.rows[0]].sequence:
        raise InputError("these samples are not the frames of clips: they name no sequences.")
    body = reconstructor.body
    collector = Collector(data, body, worst, keep_detections=False)
    scored = set(data.rows)
    clips = list(_clips(data.samples))
    for rows in followed(clips, "evaluating clips") if progress else clips:
        frames = [data.samples[row] for row in rows]
        tracks = _tracks(reconstructor, frames, smooth)
        chosen = [(row, place, sample) for place, (row, sample) in enumerate(zip(rows, frames)) if row in scored]
        if not chosen:
            continue
        subjects, people = zip(*(_subject(sample, tracks, place) for _, place, sample in chosen))
        found = np.array([person is not None for person in people])
        bodies = _bodies([person for person in people if person is not None], body)
        stages = {STAGE: among(bodies, torch.from_numpy(np.flatnonzero(found)), len(found), body)}
        truth = truth_of([s.sample for s in subjects], data, body, {body.hash: body})
        collector.add(subjects, found, stages, truth)
    return collector.report(
        {
            "method": f"{reconstructor.made_by}, clips",
            "checkpoint": reconstructor.made_by,
            "dataset": data.name,
            "detections": "detector",
            "fit": reconstructor.fitter is not None,
            "joints": data.joints,
            "mirror": True,
            "body": body.data.name,
            "source": data.source,
            "notes": [*data.notes, f"frames of {len(clips)} clips, smooth {smooth:g}"],
        }
    )


def _clips(samples: Samples) -> Iterator[list[int]]:
    """Indices of the samples of each sequence, by time."""
    sequences: dict[str, list[tuple[float, int]]] = {}
    for row in range(len(samples)):
        sample = samples[row]
        if sample.sequence:
            sequences.setdefault(sample.sequence, []).append((sample.time, row))
    return ([row for _, row in sorted(frames)] for frames in sequences.values())


def _tracks(reconstructor: Reconstructor, frames: list[Sample], smooth: float) -> list[Track]:
    times = np.array([sample.time for sample in frames])
    rate = 1 / float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    images = [sample.read_image() for sample in frames]
    camera = assumed_camera(frames[0], (images[0].shape[1], images[0].shape[0]))
    return reconstructor.clip(images, fps=rate, camera=camera, smooth=smooth)


def _subject(sample: Sample, tracks: list[Track], frame: int) -> tuple[Subject, tuple[Track, int] | None]:
    """A sample as a subject without its picture, and its track with the index of the frame; None if nobody fits."""
    image = sample.read_image()
    size = (image.shape[1], image.shape[0])
    box = labelled_box(sample, size)
    here = [(track, int(index)) for track in tracks for index in np.flatnonzero(track.frames == frame)]
    nothing = np.broadcast_to(np.zeros(1, np.uint8), image.shape)  # a picture that takes no memory
    subject = Subject(sample, nothing, None, assumed_camera(sample, size))
    people = [track.person(index) for track, index in here]
    overlaps = [0.0 if p.box is None else float(box_iou(p.box[None], box[None])[0, 0]) for p in people]
    if not overlaps or max(overlaps) <= 0:
        return subject, None
    track, index = here[int(np.argmax(overlaps))]
    person = track.person(index)
    assert person.box is not None and person.keypoints_2d is not None
    joints = next(name for name, names in JOINT_SETS.items() if names == person.keypoint_names)
    detection = Detection(person.box, person.keypoints_2d, joints, person.score or 0.0)
    return replace(subject, detection=detection), (track, index)


def _bodies(people: list[tuple[Track, int]], body: BodyModel) -> Bodies | None:
    if not people:
        return None
    rotations = torch.from_numpy(np.stack([track.rotations[index] for track, index in people]))
    translation = torch.from_numpy(np.stack([track.translation[index] for track, index in people]))
    betas = torch.from_numpy(np.stack([track.betas for track, _ in people]))
    placed = (values.to(body.v_template) for values in (betas, rotations[:, 1:], rotations[:, 0], translation))
    with torch.no_grad():
        vertices = body(*placed).vertices.cpu()
    scores = torch.tensor([0.0 if t.scores is None else float(t.scores[index]) for t, index in people])
    return Bodies(vertices, betas, BodyState(rotations.double(), translation.double(), betas.double()), scores)
