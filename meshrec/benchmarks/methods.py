"""Ways from a detected person to a body, each timed and measured alike."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from meshrec.body import LIMB_JOINTS, BodyModel, joint_index
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.fit import Fitter
from meshrec.fit.outline import MaskView, drawn_faces
from meshrec.geometry import Camera
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.reconstruct.reconstructor import Regressor
from meshrec.regress.weights import NONE, load_regressor, regressor_name


@dataclass(frozen=True)
class Method:
    """One way from a detected person to a body: a regressor, the fit, or the fit from a regressor's estimate.

    Attributes:
        regressor: None for the fit alone.
        fitter: Its body is the regressor's too.
        refine: False for the regressor alone.
    """

    regressor: Regressor | None
    fitter: Fitter
    refine: bool = True

    def __call__(self, image: np.ndarray, detection: Detection, camera: Camera) -> "Result":
        started = perf_counter()
        initial = self.regressor and self.regressor(image, [detection], camera)
        score = detection.score
        if self.refine:
            (fit,) = self.fitter([detection], camera, initial)
            score = fit.score
            parts = (torch.tensor(a, dtype=torch.float64)[None] for a in (fit.rotations, fit.translation, fit.betas))
            state = BodyState(*parts)
        else:
            assert initial is not None
            state = initial.state
        seconds, overlap = perf_counter() - started, None
        if detection.mask is not None:
            view = MaskView.around(detection, [], camera)
            overlap = view.overlap(drawn_faces(self.fitter.body, state, view.camera)[1])
        return Result(state, score, overlap, seconds)


@dataclass(frozen=True)
class Result:
    """What a method made of one person: one body, its score, its overlap with the detector's mask, and the time."""

    state: BodyState
    score: float
    mask_iou: float | None
    seconds: float

    def vertices(self, body: BodyModel) -> Tensor:
        """(1, V, 3) camera space, float32."""
        rotations, translation, betas = (part.float() for part in vars(self.state).values())
        with torch.no_grad():
            return body(betas, rotations[:, 1:], rotations[:, 0], translation).vertices

    def joints(self, body: BodyModel, joints: str) -> Tensor:
        """Joints (K, 3) of a named set, camera space, float32."""
        return body.joints_from(self.vertices(body), joints)[0]


def methods_of(body: BodyModel, regressor: str | None = None) -> dict[str, Method]:
    """A regressor, the fit from its estimate, and the fit alone, by name; without a regressor the last one only.

    Args:
        body: To estimate.
        regressor: By name or path; default: the one that photos get.

    Raises:
        InputError: There is no such regressor.
    """
    name, fitter = regressor_name(regressor), Fitter(body)
    alone = {"fit": Method(None, fitter)}
    if name == NONE:
        return alone
    network = load_regressor(name, body)
    return {name: Method(network, fitter, refine=False), f"{name} + fit": Method(network, fitter)} | alone


def limbs_seen(fitter: Fitter, state: BodyState, joints: str) -> Tensor:
    """Limb joints (12, 3) of a body where those who see a joint set see them, camera space, float32."""
    order = [joint_index(name, joints) for name in LIMB_JOINTS]
    return landmark_positions(fitter.landmarks(joints), state)[0, order].float()
