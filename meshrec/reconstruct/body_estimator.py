"""The bodies of people in a picture: a regressor estimates them, and the fit brings them to what a detector sees."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from meshrec.body import NUM_BETAS, BodyData, BodyModel, joint_set, load_body
from meshrec.body.state import BodyState
from meshrec.body.tailor import covariance_given_stature
from meshrec.compiled.device import usable_device
from meshrec.compiled.threads import require_own_threads
from meshrec.detect import Detection, Detector, load_detector
from meshrec.errors import InputError
from meshrec.fit import Fitter, Initial
from meshrec.fit.gravity import GravitySettings, gravity_of
from meshrec.fit.stature import with_stature
from meshrec.geometry import Camera
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.photo_cameras import FocalEstimator
from meshrec.regress.focal_lengths import load_focal_network
from meshrec.regress.weights import NONE, load_regressor, regressor_name

Regressor = Callable[[np.ndarray, Sequence[Detection], Camera], Initial]
_loading = threading.Lock()  # one thread loads the default detector, and the others wait for it


class BodyEstimator:
    """What photos, clips and cameras share: a body, a detector, a regressor and the fit.

    Args:
        device, regressor, body, detector, refine, focal_network: As for
            :class:`meshrec.reconstruct.reconstructor.Reconstructor`.

    Attributes:
        body: The body, with at most ten shape components.
        body_name: Its name or file.
        regressor: Makes the first estimates; None for none.
        fitter: Fits the body to detections; None where the regressor's estimates are the result.
        focal_network: Estimates focal lengths of pictures that do not tell them; None for none.
        made_by: How bodies are made, such as "proxy + fit".

    Raises:
        InputError: There is no such body, device, regressor, detector or network for fields of view, or there is
            neither a regressor nor a fit.
    """

    def __init__(
        self,
        device: str | torch.device = "cpu",
        regressor: Regressor | str | Path | None = None,
        body: str | Path | BodyData | nn.Module | None = None,
        detector: Detector | str | Path | None = None,
        refine: bool = True,
        focal_network: FocalEstimator | str | Path | None = None,
    ) -> None:
        require_own_threads()
        self.body_name = str(body) if isinstance(body, str | Path) else "neutral" if body is None else ""
        own = load_body("neutral" if body is None else body)  # a new body, also of a BodyModel: it may be moved
        self.body = own.truncated(NUM_BETAS).to(usable_device(device))
        self.body_name = self.body_name or self.body.data.name
        self.regressor, name = _as_regressor(regressor, self.body)
        if self.regressor is None and not refine:
            raise InputError("without the fit a regressor is needed: one of them has to estimate the body.")
        self._detector = load_detector(detector) if isinstance(detector, str | Path) else detector
        self.fitter = Fitter(self.body) if refine else None
        if isinstance(focal_network, str | Path):
            focal_network = load_focal_network(focal_network, self.body.v_template.device)
        self.focal_network = focal_network
        self.made_by = " + ".join([*([name] if name else []), *(["fit"] if refine else [])])

    @property
    def detector(self) -> Detector:
        """The detector, which is loaded when it is first needed."""
        if self._detector is None:
            with _loading:
                self._detector = self._detector or load_detector()
        return self._detector

    def embody(
        self,
        image: np.ndarray,
        found: Sequence[Detection],
        camera: Camera,
        height: float | Sequence[float] | np.ndarray | None = None,
    ) -> list[Person]:
        """Bodies of people who are detected already; what a call does once it has found them.

        Args:
            image: (H, W, 3) uint8 RGB.
            found: N people, at least one, photo pixels, with keypoints of one joint set.
            camera: Camera of the photo.
            height: Stature of everyone, or (N,) statures, metres. Default: not known.

        Returns:
            One person a detection, in their order.
        """
        require_own_threads()
        initial = self.regressor(image, found, camera) if self.regressor else None
        if self.fitter:
            bodies = [vars(fit) for fit in self.fitter(found, camera, initial)]
        else:
            assert initial is not None
            state = initial.state
            rows = zip(state.rotations, state.translation, state.betas, found)
            bodies = [{"rotations": r, "translation": t, "betas": b, "score": f.score} for r, t, b, f in rows]
        if height is not None:
            bodies = self._with_heights(bodies, height)
        people = [
            Person(
                self.body,
                camera=camera,
                box=detection.box,
                keypoints_2d=detection.keypoints,
                keypoint_names=joint_set(detection.joint_set),
                body_name=self.body_name,
                made_by=self.made_by,
                **body,
            )
            for body, detection in zip(bodies, found)
        ]
        return _with_gravity(people, GravitySettings() if height is None else GravitySettings(stature=0.0))

    def _with_heights(
        self, bodies: list[dict[str, Any]], height: float | Sequence[float] | np.ndarray
    ) -> list[dict[str, Any]]:
        """Bodies, as the fields of a person, with the given statures."""
        fields = ("rotations", "translation", "betas")
        state = BodyState(*(torch.from_numpy(np.stack([body[name] for body in bodies])).double() for name in fields))
        model = self.body if self.body.v_template.device.type == "cpu" else copy(self.body).cpu()
        state = with_stature(model, state, torch.as_tensor(np.broadcast_to(height, len(bodies)).copy()))
        changed = [
            body | {"translation": translation.numpy(), "betas": betas.numpy()}
            for body, translation, betas in zip(bodies, state.translation, state.betas)
        ]
        for body in changed:  # what the photo leaves open once the stature is known
            if (known := body.get("shape_covariance")) is not None:
                left = covariance_given_stature(model, torch.from_numpy(body["betas"]), torch.from_numpy(known))
                body["shape_covariance"] = left.numpy()
        return changed


def _with_gravity(people: list[Person], settings: GravitySettings) -> list[Person]:
    """Everyone in a photo with the direction of gravity in it."""
    joints = np.stack([p.joints() for p in people])
    deviations = [p.joint_deviation for p in people if p.joint_deviation is not None]
    gravity = gravity_of(joints, np.stack(deviations) if deviations else None, settings)
    return [replace(p, gravity=gravity.direction, gravity_deviation=gravity.deviation) for p in people]


def _as_regressor(regressor: Regressor | str | Path | None, body: BodyModel) -> tuple[Regressor | None, str]:
    """The regressor and its name; None and "" for no regressor."""
    if callable(regressor):
        return regressor, getattr(regressor, "__name__", type(regressor).__name__)
    name = regressor_name(regressor)
    return (None, "") if name == NONE else (load_regressor(name, body), Path(name).stem)
