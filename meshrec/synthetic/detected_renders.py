"""What the real detector says of pictures of synthetic people, kept beside the truth: training data with real noise.

Only numbers are kept: the people themselves are drawn again from their seed.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch

from meshrec.detect import Detection, Detector
from meshrec.detect.people import person_at
from meshrec.errors import InputError
from meshrec.files.atomic import write_file
from meshrec.files.npz import read_npz
from meshrec.synthetic.labels import Pictures
from meshrec.synthetic.people import People, SyntheticPeople
from meshrec.synthetic.rgb import photograph

MASK_SIDE = 112  # pixels: masks are kept at this size
MOST_BYTES = 32 << 30  # of a file: two million people
SURE = 0.5  # confidence from which a landmark counts as seen


@dataclass(frozen=True)
class DetectedRenders:
    """N people as they are, and as a detector sees them. Camera space; pixels are those of the square crop.

    Attributes:
        index: (N,) numbers of the people in the data set of ``seed``.
        kind: (N,) of the pose, an index into :data:`meshrec.synthetic.poses.KINDS`.
        rotations: (N, 24, 3, 3) local rotations, and betas: (N, S), translation: (N, 3) in metres.
        focal, center: (N, 2) of the crop's camera, pixels.
        photo, box: (N, 4) the photo's outer edges, and the true box of what it shows of the person.
        score: (N,) the detector's, 0 where it did not find the person.
        keypoints: (N, K, 3) x and y in the crop, whose edges are -1 and 1, and confidence; 0 beyond the photo.
        world: (N, K, 3) the detector's own guess in metres.
        mask: (N, M, M) uint8 over the crop, 255 = the person.
        seed, resolution: Of the data set.
        joint_set: Of the keypoints.
        body: Hash of the body.
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

    def __len__(self) -> int:
        return len(self.index)


def detect_renders(
    source: SyntheticPeople, indices: range, pictures: Pictures, detector: Detector, chunk: int = 16
) -> Iterator[DetectedRenders]:
    """Draw people and detect them, ``chunk`` at a time.

    Args:
        source: Whose people. Crops of 400 pixels and more are like the photos the detector is made for.
        indices: Their numbers.
        pictures: How to draw them.
        detector: What to ask.
        chunk: How many to draw at once.
    """
    for start in range(0, len(indices), chunk):
        part = indices[start : start + chunk]
        people = source.draw(part)
        streams = source.streams(part, "picture")
        drawn = photograph(people, source.body, pictures.layout, streams, pictures.backgrounds, pictures.supersample)
        images = drawn.movedim(1, -1).cpu().numpy()
        yield _together(source, people, [_detect(people, i, image, detector) for i, image in enumerate(images)])


def join_renders(parts: list[DetectedRenders]) -> DetectedRenders:
    """Several sets of one data set as one."""
    shared = ("seed", "resolution", "joint_set", "body")
    values = {
        f.name: getattr(parts[0], f.name) if f.name in shared else np.concatenate([getattr(p, f.name) for p in parts])
        for f in fields(DetectedRenders)
    }
    return DetectedRenders(**values)


def save_renders(path: str | Path, renders: DetectedRenders) -> None:
    """Write an ``.npz`` file."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **{f.name: getattr(renders, f.name) for f in fields(DetectedRenders)})
    write_file(path, stream.getvalue())


def load_renders(path: str | Path) -> DetectedRenders:
    """Read a file of :func:`save_renders`.

    Raises:
        InputError: It is missing, not such a file, or its arrays differ in length.
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
    """Score, keypoints (K, 3), world (K, 3) and mask (M, M) of one person."""
    size = len(image)
    x0, y0, x1, y1 = np.clip(np.ceil(people.photo[i].cpu().numpy()).astype(int), 0, size)
    corner = np.array([x0, y0, x0, y0], np.float32)
    box = people.box[i].cpu().numpy() - corner
    # Photos have no black beyond their edges; where the person is known, the detector needs a single look.
    person = person_at(detector(np.ascontiguousarray(image[y0:y1, x0:x1]), box[None]), box)
    if person is None:
        return 0.0, np.zeros((33, 3), np.float32), np.zeros((33, 3), np.float32), np.zeros((MASK_SIDE,) * 2, np.uint8)
    return (
        person.score,
        _normalized(person, corner[:2], (x1 - x0, y1 - y0), size),
        _world(person),
        _mask(person, corner, size),
    )


def _normalized(person: Detection, corner: np.ndarray, photo: tuple[int, int], size: int) -> np.ndarray:
    keypoints = person.keypoints.astype(np.float32)
    inside = ((keypoints[:, :2] > -0.5) & (keypoints[:, :2] < np.array(photo) - 0.5)).all(1)
    place = (2 * (keypoints[:, :2] + corner) + 1) / size - 1
    return np.column_stack([place, keypoints[:, 2] * inside])


def _world(person: Detection) -> np.ndarray:
    return np.zeros((len(person.keypoints), 3), np.float32) if person.world is None else person.world


def _mask(person: Detection, corner: np.ndarray, size: int) -> np.ndarray:
    if person.mask is None:
        return np.zeros((MASK_SIDE, MASK_SIDE), np.uint8)
    crop = np.array([-0.5, -0.5, size - 0.5, size - 0.5]) - corner
    return np.rint(255 * person.mask.crop(crop, (MASK_SIDE, MASK_SIDE))).astype(np.uint8)


def _together(source: SyntheticPeople, people: People, detections: list[tuple]) -> DetectedRenders:
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
        joint_set=np.array("mediapipe33"),
        body=np.array(source.body.hash),
    )
