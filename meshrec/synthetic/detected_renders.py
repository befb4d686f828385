"""Detected renders: what a real detector reports of rendered synthetic people, together with the truth.

They are training data with the detector's real errors. Pictures are not kept; they follow from the seed of the people.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch

from meshrec.body import joint_set
from meshrec.detect import Detection, Detector
from meshrec.detect.people import person_at
from meshrec.errors import InputError
from meshrec.files.atomic import write_file
from meshrec.files.npz import read_npz
from meshrec.synthetic.people import People, SyntheticPeople
from meshrec.synthetic.pictures import Pictures, photograph

DETECTED = "mediapipe33"  # joint set of the detector
MASK_SIDE = 112  # side of the stored masks, pixels
MOST_BYTES = 32 << 30  # largest file that is read, enough for two million people
SURE = 0.5  # least confidence of a landmark that counts as visible


@dataclass(frozen=True)
class DetectedRenders:
    """N people as they are and as a detector sees them, in camera space and in pixels of their square crops.

    Attributes:
        index: (N,) numbers of the people in the data set of ``seed``.
        kind: (N,) kinds of the poses, indices into :data:`meshrec.synthetic.random_poses.KINDS`.
        rotations: (N, 24, 3, 3) local rotations, the first in camera space.
        betas: (N, S) shape coefficients.
        translation: (N, 3) metres.
        focal: (N, 2) focal lengths of the crop's camera, pixels.
        center: (N, 2) its principal point, pixels.
        photo: (N, 4) outer edges x0, y0, x1, y1 of the photo, pixels.
        box: (N, 4) true box around the part of the person inside the photo, pixels.
        score: (N,) the detector's score of the person, 0 where it did not find the person.
        keypoints: (N, K, 3) detected x and y in crop coordinates, and confidence, which is 0 beyond the photo.
        world: (N, K, 3) 3D landmarks that the detector estimates, metres; zeros where it gives none.
        mask: (N, M, M) uint8 detected mask over the crop, 255 where the person is.
        seed: () seed of the data set.
        resolution: () side of the crops, pixels.
        joint_set: () name of the keypoints' joint set.
        body: () hash of the body.
        dressed: () bool, whether people wear garments, which widen their outlines.
    """

    index: np.ndarray
    kind: np.ndarray
    rotations: np.ndarray
    betas: np.ndarray
    translation: np.ndarray
    focal: np.ndarray
    center: np.ndarray
    photo: np.ndarray
    box: np.ndarray
    score: np.ndarray
    keypoints: np.ndarray
    world: np.ndarray
    mask: np.ndarray
    seed: np.ndarray
    resolution: np.ndarray
    joint_set: np.ndarray
    body: np.ndarray
    dressed: np.ndarray

    def __len__(self) -> int:
        return len(self.index)


def detect_renders(
    source: SyntheticPeople, indices: range, pictures: Pictures, detector: Detector, chunk: int = 16
) -> Iterator[DetectedRenders]:
    """Render people and pass their pictures through a detector.

    Args:
        source: The data set. Crops of 400 pixels and more are like the photos that detectors are made for.
        indices: Numbers of the people in it.
        pictures: How to draw the pictures.
        detector: A detector of ``mediapipe33`` landmarks.
        chunk: Number of people to render at once.

    Yields:
        The detected renders of ``chunk`` people at a time.

    Raises:
        ValueError: The detector reports landmarks of another joint set.
    """
    for start in range(0, len(indices), chunk):
        part = indices[start : start + chunk]
        people = source.draw(part)
        streams = source.streams(part, "picture")
        images = photograph(people, source.body, pictures, streams).movedim(1, -1).cpu().numpy()
        found = [_detect(people, i, image, detector) for i, image in enumerate(images)]
        yield _together(source, people, found, pictures.wardrobe is not None)


def join_renders(parts: list[DetectedRenders]) -> DetectedRenders:
    """Concatenate detected renders of one data set."""
    shared = ("seed", "resolution", "joint_set", "body", "dressed")
    values = {
        f.name: getattr(parts[0], f.name) if f.name in shared else np.concatenate([getattr(p, f.name) for p in parts])
        for f in fields(DetectedRenders)
    }
    return DetectedRenders(**values)


def save_renders(path: str | Path, renders: DetectedRenders) -> None:
    """Write detected renders to an ``.npz`` file.

    Raises:
        InputError: The file cannot be written.
    """
    stream = io.BytesIO()
    np.savez_compressed(stream, **{f.name: getattr(renders, f.name) for f in fields(DetectedRenders)})
    write_file(path, stream.getvalue())


def load_renders(path: str | Path) -> DetectedRenders:
    """Read a file that :func:`save_renders` wrote.

    Raises:
        InputError: The file is missing, holds something else, or its arrays differ in length.
    """
    try:
        arrays = read_npz(path, most_bytes=MOST_BYTES)
        renders = DetectedRenders(**{f.name: arrays[f.name] for f in fields(DetectedRenders)})
    except (InputError, KeyError) as error:
        raise InputError(f"{path} holds no detected renders ({error}); tools/detect_renders.py writes them") from error
    for f in fields(DetectedRenders):
        array = getattr(renders, f.name)
        if array.ndim and len(array) != len(renders):
            raise InputError(f"{path}: {f.name} has {len(array)} rows, but there are {len(renders)} people")
    return renders


def _detect(
    people: People, i: int, image: np.ndarray, detector: Detector
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Detect one person of a picture.

    Args:
        people: The people of the pictures.
        i: Index of the person.
        image: (N, N, 3) uint8 RGB, the person's picture.
        detector: The detector.

    Returns:
        Score, keypoints (K, 3), 3D landmarks (K, 3) and mask (M, M), as in :class:`DetectedRenders`.
    """
    size = len(image)
    x0, y0, x1, y1 = np.clip(np.ceil(people.photo[i].cpu().numpy()).astype(int), 0, size)
    corner = np.array([x0, y0, x0, y0], np.float32)
    box = people.box[i].cpu().numpy() - corner
    # The detector sees the photo alone, without the black beyond its edges. Given the box, it need not search for
    # people.
    person = person_at(detector(np.ascontiguousarray(image[y0:y1, x0:x1]), box[None]), box)
    if person is None:
        nothing = np.zeros((len(joint_set(DETECTED)), 3), np.float32)
        return 0.0, nothing, nothing, np.zeros((MASK_SIDE, MASK_SIDE), np.uint8)
    if person.joint_set != DETECTED:
        raise ValueError(f"renders are detected with landmarks of {DETECTED}, not {person.joint_set}")
    return (
        person.score,
        _normalized(person, corner[:2], (x1 - x0, y1 - y0), size),
        _world(person),
        _mask(person, corner, size),
    )


def _normalized(person: Detection, corner: np.ndarray, photo: tuple[int, int], size: int) -> np.ndarray:
    """Keypoints (K, 3) in crop coordinates of a detection in the photo, whose corner and size are in crop pixels."""
    keypoints = person.keypoints.astype(np.float32)
    inside = ((keypoints[:, :2] > -0.5) & (keypoints[:, :2] < np.array(photo) - 0.5)).all(1)
    place = (2 * (keypoints[:, :2] + corner) + 1) / size - 1
    return np.column_stack([place, keypoints[:, 2] * inside])


def _world(person: Detection) -> np.ndarray:
    """3D landmarks (K, 3) of a detection, zeros if it has none."""
    return np.zeros((len(person.keypoints), 3), np.float32) if person.world is None else person.world


def _mask(person: Detection, corner: np.ndarray, size: int) -> np.ndarray:
    """Mask (M, M) over the crop of a detection in the photo, zeros if it has none."""
    if person.mask is None:
        return np.zeros((MASK_SIDE, MASK_SIDE), np.uint8)
    crop = np.array([-0.5, -0.5, size - 0.5, size - 0.5]) - corner
    return np.rint(255 * person.mask.crop(crop, (MASK_SIDE, MASK_SIDE))).astype(np.uint8)


def _together(source: SyntheticPeople, people: People, detections: list[tuple], dressed: bool) -> DetectedRenders:
    """People, who may be dressed, with their detections, as :func:`_detect` returns them."""
    score, keypoints, world, mask = (np.stack(values) for values in zip(*detections))
    return DetectedRenders(
        index=np.array(people.indices),
        kind=people.kind.cpu().numpy(),
        rotations=people.rotations.cpu().numpy(),
        betas=people.betas.cpu().numpy(),
        translation=people.translation.cpu().numpy(),
        focal=torch.as_tensor(people.camera.focal).cpu().numpy(),
        center=torch.as_tensor(people.camera.center).cpu().numpy(),
        photo=people.photo.cpu().numpy(),
        box=people.box.cpu().numpy(),
        score=score.astype(np.float32),
        keypoints=keypoints.astype(np.float32),
        world=world.astype(np.float32),
        mask=mask,
        seed=np.array(source.seed),
        resolution=np.array(source.resolution),
        joint_set=np.array(DETECTED),
        body=np.array(source.body.hash),
        dressed=np.array(dressed),
    )
