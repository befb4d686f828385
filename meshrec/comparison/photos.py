"""The comparison on photos: calibrated frames of a real person, seen by the detector that ships.

The methods get what they got in training, as far as a photo has it: the detector's landmarks as joints of ``h36m17``
(:mod:`meshrec.comparison.landmark_map`), its mask, and the photo itself in a small crop. They are scored as
``meshrec evaluate --dataset multiview:…`` scores bodies, on the limb joints of the same people.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from meshrec.body import LIMB_JOINTS, BodyModel, joint_index
from meshrec.comparison.landmark_map import JOINTS, LandmarkMap
from meshrec.detect import load_detector
from meshrec.evaluation.datasets import EvaluationSet, open_evaluation_set
from meshrec.evaluation.detections import detect_samples
from meshrec.evaluation.lifting import bodies_from_joints, errors_by_person
from meshrec.evaluation.prediction import Predictor
from meshrec.evaluation.subjects import Detected, DetectionSource, Kept, Subject, assumed_camera, load_subjects
from meshrec.evaluation.truth import labelled_joints
from meshrec.models.encoders import EncoderConfig, NetworkInput, as_bytes
from meshrec.regress.crops import person_inputs

SCORED = "limb12"
BODY_MEASURE = "body_pa_mpjpe"
DETECTIONS = "multiview_detections.npz"
AT_ONCE = 32  # photos in memory


@dataclass(frozen=True, eq=False)
class PhotoPeople:
    """N people in photos, in the cameras that look at their crops' centres.

    Attributes:
        keypoints: (N, K, 3) joints of ``h36m17``: x and y in the crop, and confidence; all zero for missing ones.
        mask: (N, R, R) bool, the detector's masks in the crops.
        image: (N, 3, S, S) uint8 RGB crops, black beyond the edges of the photos.
        true: (N, 12, 4) true limb joints, metres, and confidence.
        turn: (N, 3, 3) rotations from the photos' cameras to those of the crops.
        groups: Rows of each camera's people by name.
        subjects: The people with the detector's own landmarks and without pictures, for the networks that ship.
    """

    keypoints: Tensor
    mask: Tensor
    image: Tensor
    true: Tensor
    turn: Tensor
    groups: dict[str, list[int]]
    subjects: Sequence[Subject]

    def __len__(self) -> int:
        return len(self.true)

    @torch.no_grad()
    def errors(self, points: Tensor, body: BodyModel | None) -> dict[str, np.ndarray]:
        """The errors of a method's joints.

        Args:
            points: (N, K, 3) joints of ``h36m17`` in the space of the crops' cameras, metres.
            body: The body that is fitted to them by the step that all methods share, for the error of its joints;
                None for none.

        Returns:
            By measure, (N,) millimetres: those of joints, and as :data:`BODY_MEASURE` that of the fitted body's joints.
        """
        errors = self._of(points[:, [joint_index(name, JOINTS) for name in LIMB_JOINTS]])
        if body is not None:
            fitted = torch.cat(
                [body.joints_from(bodies_from_joints(body, part, JOINTS), SCORED) for part in points.split(100)]
            )
            errors[BODY_MEASURE] = self._of(fitted)["pa_mpjpe"]
        return errors

    @torch.no_grad()
    def errors_of_bodies(self, vertices: Tensor, body: BodyModel) -> dict[str, np.ndarray]:
        """The errors of a method that ends in bodies by itself, scored with the joints of these bodies.

        Args:
            vertices: (N, V, 3) in the space of the crops' cameras, metres.
            body: The body.

        Returns:
            As :meth:`errors`.
        """
        errors = self._of(body.joints_from(vertices, SCORED))
        return errors | {BODY_MEASURE: errors["pa_mpjpe"]}

    def predicted(self, predictor: Predictor) -> Tensor:
        """The vertices (N, V, 3) of a network that ships, in the space of the crops' cameras, metres."""
        return predictor(self.subjects)[predictor.stages[-1]].vertices @ self.turn.mT

    def _of(self, limbs: Tensor) -> dict[str, np.ndarray]:
        return errors_by_person(limbs, self.true[..., :3], self.true[..., 3], SCORED)


def people_in_photos(
    data: EvaluationSet, source: DetectionSource | None, joints: LandmarkMap, size: int = 64, resolution: int = 32
) -> PhotoPeople:
    """People of a data set as the methods see them. People who are not detected are left out.

    Args:
        data: The data set.
        source: Source of MediaPipe's landmarks; None for those that the synthetic benchmark simulates.
        joints: The map from landmarks to joints.
        size: Side S of the crops in pixels.
        resolution: Side R of the masks in pixels.
    """
    names: list[str] = []
    parts: list[tuple[Tensor, ...]] = []
    subjects: list[Subject] = []
    for first in range(0, len(data), AT_ONCE):
        rows = data.rows[first : first + AT_ONCE]
        groups = data.groups[first : first + AT_ONCE] if data.groups else [""] * len(rows)
        loaded = load_subjects(data, rows, source, assumed_camera)
        found = [(s, group) for s, group in zip(loaded, groups) if s.detection is not None]
        for subject, group in found:
            parts.append(_as_seen(subject, joints, size, resolution))
            names.append(group)
            blank = np.broadcast_to(np.zeros(1, np.uint8), subject.picture.shape)
            subjects.append(replace(subject, image=blank))
    keypoints, mask, image, true, turn = (torch.cat(values) for values in zip(*parts))
    members = {name: [row for row, of in enumerate(names) if of == name] for name in dict.fromkeys(names)}
    return PhotoPeople(keypoints, mask, image, true, turn, members, subjects)


def multiview_people(folder: str | Path, kept: Path, body: BodyModel, size: int, resolution: int) -> PhotoPeople:
    """The scored people of a folder of calibrated frames.

    Args:
        folder: The folder, as :mod:`meshrec.datasets.multiview` reads it.
        kept: Where the detections are kept, as :data:`DETECTIONS`; those that are there are not made again.
        body: Body of the people who the landmark map is learned from.
        size, resolution: As in :func:`people_in_photos`.

    Raises:
        InputError: The folder or the kept detections cannot be read.
    """
    data = open_evaluation_set(f"multiview:{folder}", body)
    detector = Detected(load_detector(), data.search)
    path = kept / DETECTIONS
    detect_samples(data.samples, detector.of, path, len(data.samples))
    return people_in_photos(data, Kept(path), LandmarkMap.learned(body), size, resolution)


def _as_seen(subject: Subject, joints: LandmarkMap, size: int, resolution: int) -> tuple[Tensor, ...]:
    """A person's joints, mask, crop, true limb joints and turn, each (1, ...)."""
    picture = subject.picture
    person = joints.detection(subject.detected, (picture.shape[1], picture.shape[0]))

    def seen(sees: str, side: int) -> tuple[NetworkInput, Tensor]:
        encoder = EncoderConfig(inputs=("keypoints", sees), resnet=18, joints=JOINTS, resolution=side)
        return person_inputs(encoder, picture, [person], subject.camera)

    masked, turn = seen("silhouette", resolution)
    shown, _ = seen("rgb", size)
    assert masked.keypoints is not None and masked.silhouette is not None and shown.rgb is not None
    true = torch.from_numpy(labelled_joints(subject.sample, SCORED))[None]
    true = torch.cat([true[..., :3] @ turn.mT, true[..., 3:]], dim=-1)
    return masked.keypoints, masked.silhouette[:, 0] > 0.5, as_bytes(shown.rgb), true, turn
