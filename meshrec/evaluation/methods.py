"""The methods that are evaluated: a network alone, a network and the fit, the fit alone, or the detector itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.state import BodyState
from meshrec.data.sample import Sample
from meshrec.errors import InputError
from meshrec.evaluation.prediction import Bodies, FromCrops, FromDetections, Predictor, Stages
from meshrec.evaluation.subjects import Subject, assumed_camera
from meshrec.geometry import Camera
from meshrec.models.checkpoints import load_checkpoint
from meshrec.reconstruct import Reconstructor
from meshrec.reconstruct.body_estimator import Regressor
from meshrec.regress.regressor import NetworkRegressor
from meshrec.regress.weights import NONE, as_regressor, find_weights, regressor_name

DETECTOR, FIT_ALONE = "detector", "fit alone"
PUBLISHED = "converted_from"  # is noted in the provenance of imported checkpoints
IN_FRONT = 3.0  # metres from the camera: where bodies at rest stand for people who were not found


@dataclass(frozen=True)
class Method:
    """What is evaluated.

    Attributes:
        checkpoint: Name of a shipped network, file of a checkpoint, or a regressor; ``"detector"`` for the detector's
            own joints; None for the fit alone.
        fit: Refine the network's estimates by the fit.
        mirror: Average a network's estimates with those for the mirror image, where people are detected.

    Raises:
        InputError: Neither a checkpoint nor the fit is given, or the fit is to refine the detector.

    Example:
        >>> from meshrec.evaluation import Method
        >>> method = Method("proxy", fit=True)
        >>> method.name, method.folder
        ('proxy + fit', 'proxy_fit')
    """

    checkpoint: str | Path | Regressor | None
    fit: bool = False
    mirror: bool = True

    def __post_init__(self) -> None:
        if self.checkpoint is None and not self.fit:
            raise InputError("without a checkpoint there is only the fit to evaluate: add --fit.")
        if self.checkpoint == DETECTOR and self.fit:
            raise InputError("the detector makes no bodies that the fit could refine; leave out --fit.")

    @property
    def label(self) -> str:
        """The checkpoint as reports name it."""
        if self.checkpoint is None:
            return FIT_ALONE
        if isinstance(self.checkpoint, NetworkRegressor):
            return type(self.checkpoint.network).__name__
        if callable(self.checkpoint):
            return getattr(self.checkpoint, "__name__", type(self.checkpoint).__name__)
        return str(self.checkpoint)

    @property
    def name(self) -> str:
        """Name for tables, such as ``proxy + fit``."""
        return Path(self.label).name + (" + fit" if self.fit and self.checkpoint is not None else "")

    @property
    def folder(self) -> str:
        """Name for a folder, such as ``proxy_fit``."""
        return self.name.replace(" + ", "_").replace(" ", "_")


def methods_of(checkpoints: Sequence[str], fit: bool = False, mirror: bool = True) -> list[Method]:
    """The methods that ``meshrec evaluate --checkpoint`` names.

    Args:
        checkpoints: Names or files of networks, ``none`` for the fit alone, ``detector``. Several are compared: with
            ``fit`` each network both alone and with the fit.
        fit, mirror: As in :class:`Method`.

    Raises:
        InputError: A combination is not a valid method, or two methods have the same name.

    Example:
        >>> from meshrec.evaluation import methods_of
        >>> [method.name for method in methods_of(["keypoints", "none"], fit=True)]
        ['keypoints', 'keypoints + fit', 'fit alone']
    """
    several, methods = len(checkpoints) > 1, []
    for checkpoint in checkpoints:
        if several and checkpoint == DETECTOR:
            methods.append(Method(DETECTOR))
            continue
        if several and fit and checkpoint != NONE:
            methods.append(Method(checkpoint, False, mirror))
        methods.append(Method(None if checkpoint == NONE else checkpoint, fit, mirror))
    names = [method.name for method in methods]
    if len(set(names)) < len(names):
        raise InputError(f"two of the methods have the same name: {', '.join(names)}; evaluate them one by one.")
    return methods


def reconstructors(body: BodyModel, regressor: str | None = None) -> dict[str, Reconstructor]:
    """A regressor, the fit from its estimate, and the fit alone, by name; only the fit alone without a regressor.

    Args:
        body: Body to estimate.
        regressor: Name or path; default: the one that photos get.

    Raises:
        InputError: There is no such regressor.
    """
    name = regressor_name(regressor)
    alone = {"fit": Reconstructor(regressor=NONE, body=body)}
    if name == NONE:
        return alone
    network, fitted = (Reconstructor(regressor=name, body=body, refine=refine) for refine in (False, True))
    return {name: network, f"{name} + fit": fitted} | alone


class Reconstructed:
    """Bodies as photos get them, one person after the other. The only stage is the result: ``fit`` or ``body``.

    Args:
        reconstructor: Makes the bodies of detected people.
        stage: Name of the result.
        looks: Whether its regressor needs the pictures.
    """

    def __init__(self, reconstructor: Reconstructor, stage: str, looks: bool) -> None:
        self._reconstructor, self.stages, self.looks = reconstructor, (stage,), looks

    def camera_of(self, sample: Sample, size: tuple[int, int]) -> Camera:
        """The camera of the sample's picture of (width, height) pixels, or the default one if it is unknown."""
        return assumed_camera(sample, size)

    def __call__(self, subjects: Sequence[Subject]) -> Stages:
        """Bodies of people who were all detected."""
        people = [self._reconstructor.embody(s.picture, [s.detected], s.camera)[0] for s in subjects]
        rotations, translation, betas = (
            torch.from_numpy(np.stack([getattr(person, name) for person in people]))
            for name in ("rotations", "translation", "betas")
        )
        body = self._reconstructor.body
        placed = (values.to(body.v_template) for values in (betas, rotations[:, 1:], rotations[:, 0], translation))
        with torch.no_grad():
            vertices = body(*placed).vertices.cpu()
        state = BodyState(rotations.double(), translation.double(), betas.double())
        scores = torch.tensor([person.score for person in people])
        return {self.stages[0]: Bodies(vertices, betas, state, scores)}


@dataclass(frozen=True)
class Ready:
    """A method with its networks loaded.

    Attributes:
        predictors: Estimate bodies, one after the other; the last one's are the result. Empty for the detector.
        in_crops: Whether it sees crops as the data set cuts them, and needs no detections.
    """

    predictors: Sequence[Predictor]
    in_crops: bool = False

    @property
    def looks(self) -> bool:
        """Whether it needs the pictures."""
        return any(predictor.looks for predictor in self.predictors)

    def seen(self, subjects: Sequence[Subject]) -> list[Subject]:
        """Subjects with the cameras that the method assumes."""
        if not self.in_crops:
            return list(subjects)
        camera_of = self.predictors[0].camera_of
        return [replace(s, camera=camera_of(s.sample, s.camera.size)) for s in subjects]

    def stages(self, subjects: Sequence[Subject], found: np.ndarray, body: BodyModel) -> Stages:
        """Bodies of all subjects at every stage; bodies at rest for those who were not found.

        Args:
            subjects: B people.
            found: (B,) bool, who was found.
            body: Body model of the estimates.
        """
        rows = torch.from_numpy(np.flatnonzero(found))
        stages: Stages = {}
        for predictor in self.predictors:
            bodies = predictor([subjects[i] for i in rows]) if len(rows) else dict.fromkeys(predictor.stages)
            stages |= {name: among(bodies[name], rows, len(subjects), body) for name in predictor.stages}
        return stages


def load_method(method: Method, body: BodyModel, detected: bool, network: str = "") -> Ready:
    """Load what a method needs.

    Args:
        method: The method.
        body: Body that its network was trained with.
        detected: Whether networks that see pictures alone are to see people where they were detected.
        network: Import path of the user's own network that its checkpoint may hold.

    Raises:
        InputError: There is no such checkpoint, or it is of another body.
    """
    if method.checkpoint == DETECTOR:
        return Ready(())
    if method.checkpoint is None:
        return Ready([Reconstructed(_reconstructor(NONE, body, True), "fit", False)])
    published, regressor = False, method.checkpoint
    if isinstance(regressor, str | Path):
        loaded = load_checkpoint(find_weights(regressor), body, network)
        published = PUBLISHED in loaded.provenance
        regressor = as_regressor(loaded, body, body, method.mirror)
    if not isinstance(regressor, NetworkRegressor):
        return Ready(
            [Reconstructed(_reconstructor(regressor, body, method.fit), "fit" if method.fit else "body", True)]
        )
    if regressor.encoder.inputs == ("rgb",) and not method.fit and not detected:
        return Ready([FromCrops(regressor.network, body, centred=not published)], in_crops=True)
    alone = FromDetections(regressor, body)
    if not method.fit:
        return Ready([alone])
    return Ready([alone, Reconstructed(_reconstructor(regressor, body, True), "fit", alone.looks)])


def _reconstructor(regressor: Regressor | str, body: BodyModel, refine: bool) -> Reconstructor:
    return Reconstructor(body.v_template.device, regressor, body, refine=refine)


def among(bodies: Bodies | None, rows: Tensor, count: int, body: BodyModel) -> Bodies:
    """Bodies of some rows among those of all ``count``, the others at rest in front of the camera.

    Args:
        bodies: Bodies of the rows; None if there are none.
        rows: Their numbers, rising.
        count: Number of all.
        body: Body model of the bodies.
    """
    if bodies is not None and len(rows) == count:
        return bodies
    place = torch.tensor([0.0, 0.0, IN_FRONT], dtype=torch.float64)
    num_betas = body.num_betas if bodies is None or bodies.betas is None else bodies.betas.shape[1]
    vertices = (body.v_template.cpu() + place.float()).repeat(count, 1, 1)
    rest = BodyState(
        rotations=torch.eye(3, dtype=torch.float64).repeat(count, len(body.parents), 1, 1),
        translation=place.repeat(count, 1),
        betas=torch.zeros(count, num_betas, dtype=torch.float64),
    )
    if bodies is None:
        return Bodies(vertices, rest.betas.float(), rest, torch.zeros(count))

    def put(blank: Tensor, values: Tensor) -> Tensor:
        blank[rows] = values.to(blank)
        return blank

    state, scores = bodies.state, bodies.scores
    return Bodies(
        vertices=put(vertices, bodies.vertices),
        betas=None if bodies.betas is None else put(rest.betas.float(), bodies.betas),
        state=state and BodyState(*(put(*parts) for parts in zip(rest.parts.values(), state.parts.values()))),
        scores=None if scores is None else put(torch.zeros(count), scores),
    )
