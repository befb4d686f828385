"""A frozen test set of synthetic people, of whom every vertex is known.

Poses come from takes and authored poses that no training sees. It follows from the numbers here, the shipped body and
the shipped pose bank, so it needs no files of its own; a test watches that it stays what it is.
"""

from dataclasses import dataclass

import numpy as np

from meshrec.body import BodyModel, joint_set
from meshrec.data.sample import NUM_BETAS, Sample
from meshrec.data.synthetic_cameras import ViewMix
from meshrec.data.synthetic_clothes import TextureLayout
from meshrec.data.synthetic_labels import Pictures, synthetic_batch
from meshrec.data.synthetic_people import ShapeMix, SyntheticPeople
from meshrec.data.synthetic_poses import PoseMix

SEED = 20_000
_MOTION = PoseMix(authored=0, lying=0, tumbled=0, everyday=0)
_PLAIN = ViewMix(any_elevation=0, truncated=0, occluded=0)
_FLOOR = PoseMix(authored=1, lying=0, tumbled=0, everyday=0)  # sitting, crawling, lying, upside down
_TURNED = PoseMix(authored=0, lying=0.5, tumbled=0.5, everyday=0)
_ANY_HEIGHT = ViewMix(truncated=0, occluded=0)
_CUT = ViewMix(any_elevation=0, truncated=1, occluded=0)
_POPULATION = ShapeMix(wide=0, heavy=0)


@dataclass(frozen=True)
class Group:
    """Some people of the test set.

    Attributes:
        count: How many.
        poses, views, shapes: How they are drawn.
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
    """The test set as samples with pictures, masks and all labels, named by their group.

    Args:
        body: Whose shapes and mesh; the open body is the benchmark's own.
        resolution: Side of the pictures in pixels.
        groups: Which of :data:`GROUPS`, e.g. :data:`HARD`.
    """

    def __init__(self, body: BodyModel, resolution: int = 224, groups: tuple[str, ...] = tuple(GROUPS)) -> None:
        self.groups = groups
        self._body, self._pictures = body, Pictures(TextureLayout.of_body(body))
        self._sources = {
            name: SyntheticPeople(
                body, SEED + i, "held_out", resolution, poses=group.poses, views=group.views, shapes=group.shapes
            )
            for i, (name, group) in enumerate(GROUPS.items())
            if name in groups
        }

    def __len__(self) -> int:
        return sum(GROUPS[name].count for name in self.groups)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} people, not number {index}")
        for name in self.groups:
            if index < GROUPS[name].count:
                return self._sample(name, index)
            index -= GROUPS[name].count
        raise AssertionError("the groups make up the whole")

    def _sample(self, group: str, index: int) -> Sample:
        source = self._sources[group]
        batch, _ = synthetic_batch(source, [index], joints="union55", pictures=self._pictures)
        half = source.resolution / 2
        return Sample(
            name=f"synthetic benchmark, {group} {index}",
            image=batch.image[0].movedim(0, -1).contiguous().numpy(),
            to_crop=np.array([[1 / half, 0, 0.5 / half - 1], [0, 1 / half, 0.5 / half - 1]]),
            joints=joint_set("union55"),
            keypoints_2d=batch.keypoints_2d[0].numpy(),
            joints_3d=batch.joints_3d[0].numpy(),
            pose=batch.pose[0].numpy(),
            pose_confidence=batch.pose_confidence[0].numpy(),
            betas=batch.betas[0, :NUM_BETAS].numpy(),
            betas_confidence=1.0,
            body=batch.bodies[0],
            focal=batch.focal[0].numpy(),
            principal=batch.principal[0].numpy(),
            camera_confidence=1.0,
            mask=batch.mask[0].numpy(),
        )
