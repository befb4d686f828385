"""What is evaluated on: people with labels, which joints count, who belongs together, and published protocols."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np

from meshrec.body import BodyModel
from meshrec.data.sample import Samples
from meshrec.datasets.formats import FORMATS, Format, read_samples
from meshrec.datasets.multiview import MultiviewSamples
from meshrec.datasets.spin_npz import SpinSamples
from meshrec.errors import InputError
from meshrec.synthetic.benchmark import HARD, SyntheticBenchmark

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class EvaluationSet:
    """People to be evaluated on.

    Attributes:
        name: For tables.
        samples: The people.
        rows: (N,) which of them count.
        joints: Set of the joints that count.
        joints_of: Where true 3D joints come from: the data set's ``labels``, or the true ``mesh``, by the same rows
            that give the predicted ones.
        least_joints: Of them that a person needs to be scored in 3D.
        groups: (N,) what each person is told apart by; empty names are no group.
        pools: Groups of groups, by name.
        source: The paper that says so.
    """

    name: str
    samples: Samples
    rows: Sequence[int]
    joints: str = "lsp14"
    joints_of: Literal["labels", "mesh"] = "labels"
    least_joints: int = 3
    groups: Sequence[str] = ()
    pools: Mapping[str, Sequence[str]] = field(default_factory=dict)
    source: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def thinned(self, limit: int) -> "EvaluationSet":
        """At most ``limit`` people, evenly spread over all."""
        if limit < 1:
            raise InputError(f"the number of people to evaluate must be at least 1, not {limit}.")
        keep = np.linspace(0, len(self) - 1, min(limit, len(self))).round().astype(int)
        groups = [self.groups[i] for i in keep] if self.groups else ()
        return replace(self, rows=[self.rows[i] for i in keep], groups=groups)

    def members(self) -> dict[str, list[int]]:
        """For each group and pool, which of the N belong to it."""
        names = dict.fromkeys(name for name in self.groups if name)
        found = {name: [i for i, group in enumerate(self.groups) if group == name] for name in names}
        for pool, parts in self.pools.items():
            if members := [i for i, group in enumerate(self.groups) if group in parts]:
                found[pool] = members
        return found


@dataclass(frozen=True)
class Protocol:
    """How a published benchmark is scored.

    Attributes:
        form: Of its files.
        joints, joints_of: As in :class:`EvaluationSet`.
        pictures: Pattern that the names of its pictures match; others are left out.
        source: Who says so.
    """

    form: Format
    joints: str
    joints_of: Literal["labels", "mesh"] = "labels"
    pictures: str = ""
    source: str = ""


_H36M = "Human3.6M, subjects 9 and 11 (Ionescu et al. 2014), the 14 joints of LSP as Kanazawa et al. 2018 score them"
PROTOCOLS = {
    # MPJPE from the middle of the hips.
    "h36m-p1": Protocol("spin", "lsp14", pictures=r"\bS(9|11)(\b|_)", source=f"{_H36M}; protocol 1, all four cameras"),
    # PA-MPJPE.
    "h36m-p2": Protocol(
        "spin", "lsp14", pictures=r"\bS(9|11)(\b|_).*60457274", source=f"{_H36M}; protocol 2, the frontal camera"
    ),
    "3dpw-test": Protocol(
        "3dpw", "lsp14", "mesh", source="3DPW's test sequences (von Marcard et al. 2018), joints from the true meshes"
    ),
}
LEAST_JOINTS = {"multiview": 10}  # its truth is triangulated: a pose of which much is missing is not to be trusted


def open_evaluation_set(
    name: str,
    body: BodyModel,
    pictures: str | Path | None = None,
    bodies: Mapping[str, BodyModel] | None = None,
    resolution: int = 224,
) -> EvaluationSet:
    """Open a data set by what ``meshrec evaluate --dataset`` takes.

    Args:
        name: ``synthetic`` for the frozen benchmark, or ``form:path`` where form is one of
            :data:`meshrec.datasets.formats.FORMATS` or :data:`PROTOCOLS`.
        body: The benchmark's body.
        pictures: Folder of the pictures, where the form needs one.
        bodies: To whom betas belong, by ``neutral``, ``male``, ``female``; see
            :func:`meshrec.datasets.formats.read_samples`.
        resolution: Side of the benchmark's pictures.

    Raises:
        InputError: There is no such data set, or it is damaged.
    """
    if name == SYNTHETIC:
        return synthetic_set(body, resolution)
    form, _, path = name.partition(":")
    if not path or form not in (*FORMATS, *PROTOCOLS):
        known = ", ".join(f"{form}:PATH" for form in (*FORMATS, *PROTOCOLS))
        raise InputError(f"there is no data set '{name}'; give {SYNTHETIC}, or one of {known}.")
    protocol = PROTOCOLS.get(form)
    if protocol and protocol.joints_of == "mesh" and not {"male", "female"} <= set(bodies or {}):
        raise InputError(f"{form} compares with true meshes: name the bodies they were made with, --male and --female.")
    hashes = {name: body.hash for name, body in (bodies or {}).items()}
    samples = read_samples(protocol.form if protocol else cast(Format, form), path, pictures, hashes)
    if protocol is None:
        least, everyone = LEAST_JOINTS.get(form, 3), range(len(samples))
        label = " ".join(dict.fromkeys((form, Path(path).name)))
        return EvaluationSet(label, samples, everyone, least_joints=least, groups=_groups(samples))
    rows = _matching(samples, protocol.pictures, path)
    return EvaluationSet(
        form, samples, rows, protocol.joints, protocol.joints_of, groups=_groups(samples), source=protocol.source
    )


def synthetic_set(body: BodyModel, resolution: int = 224) -> EvaluationSet:
    """The frozen synthetic benchmark with its groups."""
    benchmark = SyntheticBenchmark(body, resolution)
    rows = range(len(benchmark))
    groups = [benchmark.place(i)[0] for i in rows]
    return EvaluationSet("synthetic benchmark", benchmark, rows, groups=groups, pools={"hard": HARD})


def _groups(samples: Samples) -> list[str]:
    if isinstance(samples, MultiviewSamples):
        return [f"camera {camera}" for camera in samples.cameras]
    return []


def _matching(samples: Samples, pattern: str, path: str) -> Sequence[int]:
    """Rows whose pictures' names match."""
    if not pattern:
        return range(len(samples))
    assert isinstance(samples, SpinSamples), "only files of that form name their pictures"
    rows = [i for i, name in enumerate(samples.pictures) if re.search(pattern, str(name))]
    if not rows:
        raise InputError(f"{path}: no picture's name fits this protocol ({pattern}); is this the benchmark's own file?")
    return rows
