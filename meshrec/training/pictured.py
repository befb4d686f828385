"""Synthetic people as small pictures with all labels, for methods that see pictures.

Pictures are drawn once, all methods see them in the same order (:func:`meshrec.training.lifting.shuffled`), and they
are kept as bytes: 65,536 of 64 x 64 pixels take 0.8 GB.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_set
from meshrec.body.joints import root_indices
from meshrec.data.centred import centred
from meshrec.data.sample import Batch
from meshrec.synthetic.batches import synthetic_batch
from meshrec.synthetic.benchmark import JOINTS, SyntheticBenchmark
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.pictures import Pictures
from meshrec.synthetic.textures import TextureLayout
from meshrec.training.lifting import POSES

DRAWN_AT_ONCE = 64  # people


@dataclass(frozen=True, eq=False)
class PicturedPeople:
    """N people in pictures that are turned towards them, as by a camera that looks at the crop's centre.

    Attributes:
        image: (N, 3, S, S) uint8 RGB, black beyond the edges of the photos.
        places: (N, K, 2) true x and y of the joints in the crop, whose edges are -1 and 1; some lie outside.
        joints: (N, K, 3) positions relative to the root, in the space of that camera, metres.
        root: (N, 3) position of the root in that space, metres.
        pose: (N, 24, 3, 3) rotations, the first in that space.
        betas: (N, S) shapes.
        focal: (N,) focal lengths, in half crop sides.
    """

    image: Tensor
    places: Tensor
    joints: Tensor
    root: Tensor
    pose: Tensor
    betas: Tensor
    focal: Tensor

    def __len__(self) -> int:
        return len(self.joints)


def people_to_see(
    body: BodyModel,
    count: int,
    seed: int = 0,
    joints: str = "h36m17",
    size: int = 64,
    split: Literal["train", "held_out"] = "train",
) -> PicturedPeople:
    """Make synthetic people and draw them; a thousand of 64 pixels take eight seconds of one core.

    Args:
        body: Their body.
        count: Number of people.
        seed: Seed of the people.
        joints: Name of the joint set of the labels.
        size: Side of the pictures in pixels.
        split: The poses to draw from.

    Example:
        >>> import meshrec
        >>> from meshrec.training.pictured import people_to_see
        >>> people_to_see(meshrec.load_body("neutral"), 2).image.shape
        torch.Size([2, 3, 64, 64])
    """
    source = SyntheticPeople(body, seed, split, size, poses=POSES)
    drawn = Pictures(TextureLayout.of_body(body))

    def batches() -> Iterator[Batch]:
        for first in range(0, count, DRAWN_AT_ONCE):
            rows = range(first, min(count, first + DRAWN_AT_ONCE))
            yield centred(synthetic_batch(source, rows, JOINTS, pictures=drawn)[0])[0]

    return _joined(batches(), joints)


def benchmark_to_see(body: BodyModel, rows: Sequence[int], joints: str = "h36m17", size: int = 64) -> PicturedPeople:
    """People of the frozen benchmark as pictures.

    Args:
        body: The people's body.
        rows: Their numbers in the benchmark.
        joints: Name of the joint set of the labels.
        size: Side of the pictures in pixels.
    """
    people = SyntheticBenchmark(body, size)
    parts = (people.batch(rows[first : first + DRAWN_AT_ONCE]) for first in range(0, len(rows), DRAWN_AT_ONCE))
    return _joined((centred(part)[0] for part in parts), joints)


def _joined(batches: Iterable[Batch], joints: str) -> PicturedPeople:
    rows, root = [joint_set(JOINTS).index(name) for name in joint_set(joints)], root_indices(joints)
    parts = []
    for batch in batches:
        points = batch.joints_3d[:, rows, :3]
        centre = points[:, root].mean(1, keepdim=True)
        places = batch.keypoints_2d[:, rows, :2]
        part = PicturedPeople(
            batch.image, places, points - centre, centre[:, 0], batch.pose, batch.betas, batch.focal[:, 0]
        )
        parts.append(part)
    return replace(parts[0], **{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(parts[0])})
