"""The synthetic benchmark: a frozen test set of synthetic people with all labels, whose poses no training sees.

The test set follows from the numbers in this file, the shipped body and the shipped pose bank, so it needs no files of
its own; a test checks that it never changes. ``tools/build_synthetic_benchmark.py`` writes it as files for other
programs, with the keypoints and masks of the real detector.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from meshrec.body import NUM_BETAS, BodyModel, joint_set
from meshrec.data.proxies import Proxies
from meshrec.data.sample import Batch, Sample, concatenate
from meshrec.detect.people import Detection, Mask, person_box, photo_edges
from meshrec.synthetic.batches import labels, synthetic_batch
from meshrec.synthetic.detector_noise import DetectorNoise, detected_masks
from meshrec.synthetic.loose_clothes import ClothesMix, Tailor, draw_clothes
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.pictures import Pictures, photograph
from meshrec.synthetic.random_cameras import ViewMix
from meshrec.synthetic.random_poses import PoseMix
from meshrec.synthetic.random_shapes import ShapeMix
from meshrec.synthetic.simulated_detector import observe
from meshrec.synthetic.textures import TextureLayout
from meshrec.synthetic.visibility import inside_photo

SEED = 20_000
JOINTS, DETECTED = "union55", "mediapipe33"
_MOTION = PoseMix(authored=0, lying=0, tumbled=0, everyday=0, upright=0, floor=0)
_PLAIN = ViewMix(any_elevation=0, truncated=0, occluded=0)
_FLOOR = replace(_MOTION, authored=1)  # sitting, crawling, lying, upside down
_TURNED = replace(_MOTION, lying=0.5, tumbled=0.5)
_ANY_HEIGHT = ViewMix(truncated=0, occluded=0)
_CUT = ViewMix(any_elevation=0, truncated=1, occluded=0)
_POPULATION = ShapeMix(wide=0, heavy=0)
# Written out in full, so that the benchmark stays the same when the defaults for training change.
_NOISE = DetectorNoise(
    scale=1.2,
    spread=0.5,
    common=0.5,
    hidden=2.5,
    displaced=0.015,
    displacement=0.12,
    face=0,
    swapped=0.015,
    missing=0.01,
    doubt=0,
    fewer=0,
    mask=0.5,
)

Edges = tuple[int, int, int, int]  # first column, first row, and the column and row after the last


@dataclass(frozen=True)
class Group:
    """A group of people of the test set.

    Attributes:
        count: Number of people.
        poses, views, shapes: Distributions of their poses, cameras and shapes.
    """

    count: int
    poses: PoseMix
    views: ViewMix = _PLAIN
    shapes: ShapeMix = _POPULATION


GROUPS = {
    "usual": Group(1000, _MOTION),
    "floor": Group(350, _FLOOR, _ANY_HEIGHT),
    "turned": Group(250, _TURNED, _ANY_HEIGHT),
    "truncated": Group(250, _MOTION, _CUT),
    "heavy": Group(150, _MOTION, shapes=ShapeMix(wide=0, heavy=1)),
}
HARD = ("floor", "turned", "truncated", "heavy")


class SyntheticBenchmark:
    """The test set as samples with pictures, masks and all labels; their names contain their group.

    A sample's picture is the part of the crop that lies inside the photo. It is rendered when it is read.

    Args:
        body: The body model of the people; figures are comparable only for the open neutral body.
        resolution: Side of the crops in pixels.
        groups: Names of the groups to take from :data:`GROUPS`, such as :data:`HARD`.
        clothes: Clothes of the people in the masks that are detected; by default they wear none. Pictures, keypoints
            and true masks stay those of bare people.
        detected_joints: Joint set of the simulated detector. Figures are comparable only for the default one, or
            among methods that all see the same other one.
    """

    def __init__(
        self,
        body: BodyModel,
        resolution: int = 224,
        groups: tuple[str, ...] = tuple(GROUPS),
        clothes: ClothesMix | None = None,
        detected_joints: str = DETECTED,
    ) -> None:
        self.groups = groups
        self._detected_joints = detected_joints
        self._body = body
        self._clothes = clothes
        self._sources = {
            name: SyntheticPeople(
                body, SEED + i, "held_out", resolution, poses=group.poses, views=group.views, shapes=group.shapes
            )
            for i, (name, group) in enumerate(GROUPS.items())
            if name in groups
        }

    @cached_property
    def _pictures(self) -> Pictures:
        return Pictures(TextureLayout.of_body(self._body))

    @cached_property
    def _tailor(self) -> Tailor:
        return Tailor(self._body)

    def __len__(self) -> int:
        return sum(GROUPS[name].count for name in self.groups)

    def __getitem__(self, index: int) -> Sample:
        return self.observed([index])[0][0]

    def place(self, index: int) -> tuple[str, int]:
        """The group of a person, and the person's number in it.

        Args:
            index: Number of the person in the test set.

        Raises:
            IndexError: The test set has fewer people.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} people, not number {index}")
        for name in self.groups:
            if index < GROUPS[name].count:
                break
            index -= GROUPS[name].count
        return name, index

    def observed(self, indices: Sequence[int]) -> list[tuple[Sample, Detection]]:
        """Samples with the simulated detections of the same people.

        One call for many neighbouring people is much faster than a call for each.

        Args:
            indices: Numbers of the people in the test set.
        """
        found = []
        for group, places in groupby(map(self.place, indices), key=lambda place: place[0]):
            found += self._observed(group, [number for _, number in places])
        return found

    def batch(self, indices: Sequence[int]) -> Batch:
        """Whole crops with all labels and no detections, for methods that see pictures alone.

        Args:
            indices: Numbers of the people in the test set.

        Returns:
            Their labels, with true masks and with pictures that are black beyond the edges of the photos.
        """
        parts = []
        for group, places in groupby(map(self.place, indices), key=lambda place: place[0]):
            numbers = [number for _, number in places]
            parts.append(synthetic_batch(self._sources[group], numbers, JOINTS, pictures=self._pictures)[0])
        return concatenate(parts)

    def picture(self, group: str, number: int) -> np.ndarray:
        """Render the part of a person's crop that lies inside the photo.

        Args:
            group: Name of the person's group.
            number: Number of the person in it.

        Returns:
            (H, W, 3) uint8 RGB.
        """
        source = self._sources[group]
        people = source.draw([number])
        drawn = photograph(people, source.body, self._pictures, source.streams([number], "picture"))
        x0, y0, x1, y1 = _inside(people.photo[0], source.resolution)
        return np.ascontiguousarray(drawn[0, :, y0:y1, x0:x1].movedim(0, -1).cpu().numpy())

    def _observed(self, group: str, numbers: list[int]) -> list[tuple[Sample, Detection]]:
        source = self._sources[group]
        people = source.draw(numbers)
        seen = observe(people, source.body, source.streams(numbers, "detector"), self._detected_joints, _NOISE)
        if self._clothes is not None:
            clothes = draw_clothes(source.streams(numbers, "clothes"), self._clothes)
            inside = inside_photo(people.photo, people.camera.size)
            exact = self._tailor.mask(people.vertices, people.camera, clothes) & ~people.covered & inside
            mask = detected_masks(exact, inside, source.streams(numbers, "dressed"), _NOISE.mask)
            seen = replace(seen, silhouette=mask[:, None].float())
        points = source.body.joints_from(people.vertices, JOINTS)
        names = tuple(f"synthetic benchmark, {group} {number}" for number in numbers)
        known = labels(points, people.rotations, people.betas, people.camera, source.body.hash, JOINTS, names)
        edges = [_inside(photo, source.resolution) for photo in people.photo]
        joints = self._detected_joints
        return [
            (self._sample(group, numbers[i], known, seen, i, edges[i]), _detection(seen, i, edges[i], joints))
            for i in range(len(numbers))
        ]

    def _sample(self, group: str, number: int, batch: Batch, seen: Proxies, i: int, edges: Edges) -> Sample:
        x0, y0, x1, y1 = edges
        pixel = 2 / self._sources[group].resolution
        shift = [pixel * (start + 0.5) - 1 for start in (x0, y0)]
        return Sample(
            name=batch.names[i],
            image=_Drawing(self, group, number),
            to_crop=np.array([[pixel, 0, shift[0]], [0, pixel, shift[1]]]),
            joints=joint_set(JOINTS),
            keypoints_2d=batch.keypoints_2d[i].cpu().numpy(),
            joints_3d=batch.joints_3d[i].cpu().numpy(),
            pose=batch.pose[i].cpu().numpy(),
            pose_confidence=batch.pose_confidence[i].cpu().numpy(),
            betas=batch.betas[i, :NUM_BETAS].cpu().numpy(),
            betas_confidence=1.0,
            body=batch.bodies[i],
            focal=batch.focal[i].cpu().numpy(),
            principal=batch.principal[i].cpu().numpy(),
            camera_confidence=1.0,
            mask=_bytes(seen.exact_silhouette[i, 0, y0:y1, x0:x1]),
        )


@dataclass(frozen=True, eq=False)
class _Drawing:
    """A picture of the test set, rendered when it is read."""

    benchmark: SyntheticBenchmark
    group: str
    number: int

    def read(self) -> np.ndarray:
        return self.benchmark.picture(self.group, self.number)


def _inside(photo: Tensor, size: int) -> Edges:
    """The part of a crop of ``size`` pixels inside the photo, whose outer edges x0, y0, x1, y1 are ``photo`` (4,)."""
    x0, y0, x1, y1 = photo.ceil().long().clamp(0, size).tolist()
    return x0, y0, x1, y1


def _detection(seen: Proxies, i: int, edges: Edges, joints: str) -> Detection:
    """The detection of person i in pixels of the picture, which is cut out of the crop at ``edges``."""
    x0, y0, x1, y1 = edges
    whole = seen.silhouette.shape[-1]
    keypoints = seen.keypoints[i].cpu().numpy().copy()
    keypoints[:, :2] = (keypoints[:, :2] + 1) * whole / 2 - 0.5 - (x0, y0)
    size = x1 - x0, y1 - y0
    mask = Mask(_bytes(seen.silhouette[i, 0, y0:y1, x0:x1]), photo_edges(size))
    return Detection(person_box(keypoints, mask, size), keypoints, joints, score=1.0, mask=mask)


def _bytes(coverage: Tensor) -> np.ndarray:
    """Coverage (H, W) in [0, 1] as uint8."""
    return np.ascontiguousarray((255 * coverage).to(torch.uint8).cpu().numpy())
