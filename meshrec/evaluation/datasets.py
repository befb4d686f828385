"""Data sets to evaluate on: labelled people, the joints that are scored, groups of people, published protocols."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np

from meshrec.body import LIMB_JOINTS, BodyModel, joint_index
from meshrec.data.sample import Samples
from meshrec.datasets.coco import KeypointSamples
from meshrec.datasets.formats import FORMATS, Format, read_samples
from meshrec.datasets.lspe import LspeSamples
from meshrec.datasets.multiview import MultiviewSamples
from meshrec.datasets.spin_npz import SpinSamples
from meshrec.errors import InputError
from meshrec.metrics import torso_size
from meshrec.synthetic.benchmark import HARD, SyntheticBenchmark
from meshrec.synthetic.loose_clothes import ClothesMix

SYNTHETIC, DRESSED = "synthetic", "synthetic-dressed"

Search = Literal["box", "photo", "crop"]


@dataclass(frozen=True)
class EvaluationSet:
    """People to evaluate on.

    Attributes:
        name: Name for tables.
        samples: Labelled people.
        rows: (N,) indices of the samples that are scored.
        joints: Name of the joint set that is scored.
        joints_of: Source of the true 3D joints: the data set's ``labels``, or the true ``mesh``, through the same
            joint regressor as the predicted joints.
        least_joints: Number of known joints below which a person is not scored in 3D.
        search: How the detector is asked for a person. ``box``: it is given the labelled box, as in published
            protocols. ``photo``: it searches the whole photo, and the detection that overlaps the labelled box most is
            taken. ``crop``: the picture is a crop around the person with a margin of a quarter of their size, and the
            detector is given the place that follows from this.
        marked_as: Name of the joint set whose placements (:mod:`meshrec.landmarks.placements`) say where on the body
            the labels of the limb joints lie; empty where they are taken to be the body's own joints.
        groups: (N,) name of each person's group; an empty name is no group.
        pools: Unions of groups, by name.
        source: Publication that the protocol follows.
        notes: Remarks for the user, such as on what was left out of the labels.

    Example:
        >>> import meshrec
        >>> from meshrec.evaluation import synthetic_set
        >>> data = synthetic_set(meshrec.load_body("neutral"), resolution=64).thinned(5)
        >>> len(data), data.joints, len(data.groups)
        (5, 'lsp14', 5)
    """

    name: str
    samples: Samples
    rows: Sequence[int]
    joints: str = "lsp14"
    joints_of: Literal["labels", "mesh"] = "labels"
    least_joints: int = 3
    search: Search = "box"
    marked_as: str = ""
    groups: Sequence[str] = ()
    pools: Mapping[str, Sequence[str]] = field(default_factory=dict)
    source: str = ""
    notes: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def thinned(self, limit: int) -> "EvaluationSet":
        """The data set reduced to at most ``limit`` people, evenly spread over it.

        Raises:
            InputError: The limit is below 1.
        """
        if limit < 1:
            raise InputError(f"the number of people to evaluate must be at least 1, not {limit}.")
        keep = np.linspace(0, len(self) - 1, min(limit, len(self))).round().astype(int)
        groups = [self.groups[i] for i in keep] if self.groups else ()
        return replace(self, rows=[self.rows[i] for i in keep], groups=groups)

    def members(self) -> dict[str, list[int]]:
        """Indices into the N people of the members of each group and pool, by name."""
        names = dict.fromkeys(name for name in self.groups if name)
        found = {name: [i for i, group in enumerate(self.groups) if group == name] for name in names}
        for pool, parts in self.pools.items():
            if members := [i for i, group in enumerate(self.groups) if group in parts]:
                found[pool] = members
        return found


@dataclass(frozen=True)
class Protocol:
    """How a data set is scored.

    Attributes:
        form: Format of its files.
        joints, joints_of, least_joints, search, marked_as, source: As in :class:`EvaluationSet`.
        pictures: Regular expression for the names of the pictures that are scored; empty for all.
    """

    form: Format
    joints: str = "lsp14"
    joints_of: Literal["labels", "mesh"] = "labels"
    least_joints: int = 3
    search: Search = "box"
    marked_as: str = ""
    pictures: str = ""
    source: str = ""


_H36M = "Human3.6M, subjects 9 and 11 (Ionescu et al. 2014), the 14 joints of LSP as Kanazawa et al. 2018 score them"
PROTOCOLS = {
    # MPJPE from the middle of the hips.
    "h36m-p1": Protocol("spin", pictures=r"\bS(9|11)(\b|_)", source=f"{_H36M}; protocol 1, all four cameras"),
    # PA-MPJPE.
    "h36m-p2": Protocol(
        "spin", pictures=r"\bS(9|11)(\b|_).*60457274", source=f"{_H36M}; protocol 2, the frontal camera"
    ),
    "3dpw-test": Protocol(
        "3dpw", joints_of="mesh", source="3DPW's test sequences (von Marcard et al. 2018), joints from the true meshes"
    ),
}
PHOTOS = {
    # The true joints are triangulated from detections; poses with many missing joints are unreliable. One of the two
    # detectors is the default one, so the true joints lie where that detector sees them.
    "multiview": Protocol("multiview", "limb12", least_joints=10, search="photo", marked_as="mediapipe33"),
    # Each picture is a crop around one person. Where annotators mark joints was measured for the limb joints.
    "lspe": Protocol("lspe", "limb12", search="crop", marked_as="lsp14"),
}


def open_evaluation_set(
    name: str,
    body: BodyModel,
    pictures: str | Path | None = None,
    bodies: Mapping[str, BodyModel] | None = None,
    resolution: int = 224,
) -> EvaluationSet:
    """Open a data set by what ``meshrec evaluate --dataset`` takes.

    Args:
        name: ``synthetic`` for the frozen benchmark, ``synthetic-dressed`` for the same people with masks in clothes,
            or ``form:path`` where form is one of :data:`meshrec.datasets.formats.FORMATS` or :data:`PROTOCOLS`.
        body: Body of the people of the frozen benchmark.
        pictures: Folder of the pictures, where the format needs one.
        bodies: Bodies that the data set's betas belong to, by ``neutral``, ``male``, ``female``; see
            :func:`meshrec.datasets.formats.read_samples`.
        resolution: Side of the frozen benchmark's pictures, pixels.

    Raises:
        InputError: There is no such data set, or it is damaged.

    Example:
        >>> import meshrec
        >>> from meshrec.evaluation import open_evaluation_set
        >>> open_evaluation_set("synthetic", meshrec.load_body("neutral")).name
        'synthetic benchmark'
    """
    if name in (SYNTHETIC, DRESSED):
        return synthetic_set(body, resolution, dressed=name == DRESSED)
    form, _, path = name.partition(":")
    if not path or form not in (*FORMATS, *PROTOCOLS):
        known = ", ".join(f"{form}:PATH" for form in (*FORMATS, *PROTOCOLS))
        raise InputError(f"there is no data set '{name}'; give {SYNTHETIC}, {DRESSED}, or one of {known}.")
    protocol = (PROTOCOLS | PHOTOS).get(form) or Protocol(cast(Format, form))
    if protocol.joints_of == "mesh" and not {"male", "female"} <= set(bodies or {}):
        raise InputError(f"{form} compares with true meshes: name the bodies they were made with, --male and --female.")
    hashes = {name: body.hash for name, body in (bodies or {}).items()}
    samples = read_samples(protocol.form, path, pictures, hashes)
    rows = _scored(samples, protocol, path)
    return EvaluationSet(
        name=form if form in PROTOCOLS else " ".join(dict.fromkeys((form, Path(path).name))),
        samples=samples,
        rows=rows,
        joints=protocol.joints,
        joints_of=protocol.joints_of,
        least_joints=protocol.least_joints,
        search=protocol.search,
        marked_as=protocol.marked_as,
        groups=[f"camera {samples.cameras[i]}" for i in rows] if isinstance(samples, MultiviewSamples) else (),
        source=protocol.source,
        notes=samples.notes if isinstance(samples, KeypointSamples) else (),
    )


def synthetic_set(body: BodyModel, resolution: int = 224, dressed: bool = False) -> EvaluationSet:
    """The frozen synthetic benchmark with its groups.

    Args:
        body: Body model of the people.
        resolution: Side of the pictures, pixels.
        dressed: Whether the detected masks show everyone in the clothes of training, instead of bare.

    Example:
        >>> import meshrec
        >>> from meshrec.evaluation import synthetic_set
        >>> data = synthetic_set(meshrec.load_body("neutral"), resolution=64)
        >>> len(data), "hard" in data.members()
        (2000, True)
    """
    benchmark = SyntheticBenchmark(body, resolution, clothes=ClothesMix(bare=0) if dressed else None)
    rows = range(len(benchmark))
    groups = [benchmark.place(i)[0] for i in rows]
    name = "synthetic benchmark, dressed" if dressed else "synthetic benchmark"
    return EvaluationSet(name, benchmark, rows, groups=groups, pools={"hard": HARD})


def _scored(samples: Samples, protocol: Protocol, path: str) -> Sequence[int]:
    """Indices of the samples that a protocol scores."""
    if protocol.pictures:
        assert isinstance(samples, SpinSamples), "only files of this format name their pictures"
        rows = [i for i, name in enumerate(samples.pictures) if re.search(protocol.pictures, str(name))]
        if not rows:
            raise InputError(
                f"{path}: no picture's name fits this protocol ({protocol.pictures}); is this the benchmark's own file?"
            )
        return rows
    if isinstance(samples, MultiviewSamples):
        order = [joint_index(name, samples.joints) for name in LIMB_JOINTS]
        known = samples.joints_3d[:, order, 3] > 0
        hips = known[:, [LIMB_JOINTS.index("left_hip"), LIMB_JOINTS.index("right_hip")]].all(1)
        return np.flatnonzero(hips & (known.sum(1) >= protocol.least_joints)).tolist()
    if isinstance(samples, LspeSamples):
        labels = samples.keypoints_2d
        return np.flatnonzero(torso_size(labels[..., :2], "lsp14", labels[..., 2]) > 0).tolist()
    return range(len(samples))
