"""One body over the frames of a clip: every frame is fitted alone, then all of them together.

The terms of a frame are those of a photo. What is new is time: one shape for all frames, second differences of joints
and rotations (:mod:`meshrec.fit.smoothness`), and feet that stand (:mod:`meshrec.fit.feet`). The joint fit runs over
windows of frames, so that its memory grows with the window and not with the clip. It is a smoother as Rauch, Tung &
Striebel 1965 have it: a forward pass fits each window with what the frames before it tell of its first two frames, to
which they were eliminated; a backward pass fits it again, with the first two frames of the window behind it held fixed.
If the terms were quadratic, the result would be that of one window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import NUM_JOINTS
from meshrec.body.state import BETAS, BodyState
from meshrec.detect.people import Detection
from meshrec.fit.coupled import BAND, Past, TimeTerm, minimize_coupled
from meshrec.fit.feet import FOOT_POINTS, FootSettings, StandingTerm, contacts_of, foot_points
from meshrec.fit.film import Film, FilmOfOne, chunks
from meshrec.fit.fitter import Fitter
from meshrec.fit.gaps import bridged, segments
from meshrec.fit.gravity import Gravity
from meshrec.fit.initial import Initial
from meshrec.fit.kept import Kept, arrays_of, not_kept, past_arrays, past_of, state_of
from meshrec.fit.result import UNKNOWN
from meshrec.fit.smoothness import Accelerations, JointAccelerations, TurnAccelerations
from meshrec.fit.solver import minimize
from meshrec.fit.window import Window
from meshrec.geometry import Camera
from meshrec.landmarks.numba_backend import landmark_positions

USUAL_RATE = 20.0  # frames per second for which the deviations of the settings are given
LEAST_LOOSENESS = 0.01  # a smoothness of 1 would not allow any acceleration


@dataclass(frozen=True)
class SequenceSettings:
    """How a body is fitted over time.

    Attributes:
        smooth: From 0, without any term over time, to 1. At 0.5 the deviations below hold; they grow by the factor
            (1 - smooth) / smooth.
        joints: Standard deviation of second differences of the joints' places at 20 frames per second, metres.
        turns: Standard deviation of second differences of the joints' rotations, radians.
        freedom: Degrees of freedom of these differences, which have Student's t distribution. With many, kicks and
            jumps are flattened; with few, trembling is taken for motion.
        prior: Factor of the weight that the prior of poses has in a photo. Several frames tell more than one.
        window: Number of frames that are fitted at once.
        overlap: Number of frames at a window's end that the next window fits again.
        chunk: Number of frames that are fitted alone side by side.
        outlined: One of so many frames is fitted to its outline alone, for the shape.
        steps: Steps of the rounds of the joint fit. Outlines are matched, and contacts of the feet are found, before
            each round but the first, which has no contacts; the last round is the backward pass.
        lasting: Time in which the correlation of the errors of detections falls by the factor e, seconds.
        longest_gap: Longest time without the person that is bridged, seconds.
        standing: Whether feet in contact with the floor stand still.
        feet: When they are in contact, and how still they stand.
    """

    smooth: float = 0.5
    joints: float = 0.03
    turns: float = 0.1
    freedom: float = 9.0
    prior: float = 0.5
    window: int = 48
    overlap: int = 8
    chunk: int = 32
    steps: tuple[int, ...] = (4, 3, 3)
    outlined: int = 4
    lasting: float = 0.5
    longest_gap: float = 1.0
    standing: bool = True
    feet: FootSettings = FootSettings()

    def __post_init__(self) -> None:
        if not 0 <= self.smooth <= 1:
            raise ValueError(f"smooth is a number from 0 to 1, not {self.smooth}")
        if not 3 <= self.overlap < self.window:
            raise ValueError("windows overlap by at least three frames, and by fewer than they have")


@dataclass(frozen=True, eq=False)
class SequenceFit:
    """One body over T frames, in the camera space of each frame.

    Attributes:
        rotations: (T, 24, 3, 3) float32 local rotations; the first is the body's orientation to the camera.
        betas: (S,) float32 shape coefficients.
        translation: (T, 3) float32, metres.
        joint_deviation: (T, 24) float32 standard deviation of each ``smpl24`` joint relative to the pelvis, metres.
        reprojection_error: (T,) float32 mean distance of detected and reprojected landmarks, as a share of the box's
            longer side; NaN in frames without a detection.
        mask_iou: (T,) float32 intersection over union of the silhouette and the detector's mask; NaN without a mask.
        score: (T,) float32 confidence in [0, 1]; 0 in frames without a detection.
        contacts: (T, 4) bool, whether left heel, left toes, right heel and right toes touch the floor.
        gravity: The direction of gravity in the world, the camera space of the first frame.
    """

    rotations: np.ndarray
    betas: np.ndarray
    translation: np.ndarray
    joint_deviation: np.ndarray
    reprojection_error: np.ndarray
    mask_iou: np.ndarray
    score: np.ndarray
    contacts: np.ndarray
    gravity: Gravity


@dataclass(frozen=True, eq=False)
class Fitted:
    """One body over T frames.

    Attributes:
        state: T bodies of one shape.
        deviation: (T, 24) standard deviation of each ``smpl24`` joint relative to the pelvis, metres.
        contacts: (T, 4) bool, which parts of the feet touch the floor.
        gravity: The direction of gravity in the world.
    """

    state: BodyState
    deviation: Tensor
    contacts: Tensor
    gravity: Gravity


class SequenceFitter:
    """Fits one body to a person in the frames of a clip: ``fit = sequence_fitter(detections, times, camera, initial)``.

    Args:
        fitter: The fit of single frames. Its body, prior and settings hold here too.
        settings: What is assumed of time.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> import meshrec
        >>> from meshrec.detect.people import keypoint_box
        >>> from meshrec.fit.sequence import SequenceFitter
        >>> body, camera = meshrec.load_body("neutral"), meshrec.Camera(500.0, size=(512, 512))
        >>> walking = body(global_orient=torch.tensor([[torch.pi, 0, 0]]), transl=torch.tensor([[0.0, 0, 4]]))
        >>> points = camera.project(body.joints_from(walking.vertices, "coco17"))[0, :, :2].numpy()
        >>> frames = []
        >>> for t in range(5):
        ...     keypoints = np.hstack([points + [2 * t, 0], np.ones((17, 1))]).astype(np.float32)
        ...     frames.append(meshrec.Detection(keypoint_box(keypoints), keypoints, "coco17", score=1.0))
        >>> frames[2] = None  # nobody was found
        >>> fit = SequenceFitter(meshrec.Fitter(body))(frames, np.arange(5) / 20, camera)
        >>> fit.rotations.shape, bool(np.diff(fit.translation[:, 0]).min() > 0)
        ((5, 24, 3, 3), True)
    """

    def __init__(self, fitter: Fitter, settings: SequenceSettings = SequenceSettings()) -> None:
        self.fitter = fitter
        self.settings = settings
        self._feet = foot_points(fitter.body)

    def __call__(
        self,
        detections: Sequence[Detection | None],
        times: np.ndarray,
        camera: Camera | Sequence[Camera],
        initial: Initial | None = None,
        turns: np.ndarray | None = None,
        others: Sequence[Sequence[Detection]] | None = None,
        kept: Kept | None = None,
    ) -> SequenceFit:
        """Fit one body to all frames.

        Args:
            detections: The person in each of T frames, in pixels of the frame; None where the person is not found.
            times: (T,) seconds, ascending.
            camera: The camera of all frames, or of each.
            initial: A regressor's estimates in the camera space of each frame: T states, of which those of frames
                without a detection are not read. Their ``whiten`` may be an expanded tensor, which takes no memory.
                Default: starts from the library of poses.
            turns: (T, 3, 3) rotations from the world to the camera space of each frame. Default: the camera does not
                move.
            others: Other people in each frame, who may stand in front of the person.
            kept: Where parts of the work are kept, so that an interrupted fit of the same input goes on there: chunks
                of frames that are fitted alone, and windows of each pass. An interruption loses the part that was being
                fitted, and what takes no time: the common shape, gravity and contacts. Default: nothing is kept.

        Returns:
            The body in all frames. Times without a detection that are longer than a second are interpolated.

        Raises:
            InputError: The detections have different joint sets, or the body lacks one of their landmarks.
            ValueError: There is no detection, or the lengths differ, or times do not ascend.
        """
        film = FilmOfOne.of(self.fitter, detections, times, camera, initial, turns, others)
        kept = not_kept if kept is None else kept
        fitted = self.over_time(film, kept)

        def judged(frames: slice) -> dict[str, np.ndarray]:
            return dict(zip(("error", "overlap", "score"), film.judged(fitted.state, frames)))

        parts = chunks(len(film.times), self.settings.chunk)
        judgements = [kept(f"judged_{frames.start:08d}", partial(judged, frames)) for frames in parts]
        return SequenceFit(
            rotations=fitted.state.rotations.float().numpy(),
            betas=fitted.state.betas[0].float().numpy(),
            translation=fitted.state.translation.float().numpy(),
            joint_deviation=fitted.deviation.float().numpy(),
            reprojection_error=np.concatenate([part["error"] for part in judgements]),
            mask_iou=np.concatenate([part["overlap"] for part in judgements]),
            score=np.concatenate([part["score"] for part in judgements]),
            contacts=fitted.contacts.numpy(),
            gravity=fitted.gravity,
        )

    def over_time(self, film: Film, kept: Kept | None = None) -> Fitted:
        """Fit one body to all frames of a film, by one camera or several; ``kept`` as for a call."""
        kept = not_kept if kept is None else kept
        state, certainty = self._each_alone(film, kept)
        state = self._with_one_shape(film, state, certainty)
        pelvis = self._pelvis(state.betas[:1])
        state = bridged(film, state, pelvis, film.seen)
        gravity = film.gravity(state)
        state, deviation, contacts = self._together(film, state, gravity, kept)
        inside = torch.zeros_like(film.seen)
        for begin, end in segments(film, self.settings.longest_gap):
            inside[begin:end] = True
        return Fitted(bridged(film, state, pelvis, inside), deviation, contacts, gravity)

    def _each_alone(self, film: Film, kept: Kept) -> tuple[BodyState, Tensor]:
        """Fit every frame on its own.

        Returns:
            T bodies, and one over the standard deviations (T, S) of their betas.
        """
        parts, certainties = [], []
        every = self.settings.outlined if film.masked else 1
        chosen = film.seen & ((film.seen.cumsum(0) - 1) % every == 0)
        for frames in chunks(len(film.times), self.settings.chunk):
            arrays = kept(f"alone_{frames.start:08d}", partial(self._chunk_alone, film, frames, chosen))
            parts.append(state_of(arrays))
            certainties.append(torch.from_numpy(arrays["certainty"]))
        return _joined(parts), torch.cat(certainties)

    def _chunk_alone(self, film: Film, frames: slice, chosen: Tensor) -> dict[str, np.ndarray]:
        """Fit some frames on their own; ``chosen`` (T,) tells which are fitted to outlines, and tell of the shape."""
        state, final, shown = film.alone(frames)
        for reach, steps in self.fitter.settings.outline.reaches:
            skin = shown.skin(state, reach, touching=False, chosen=chosen[frames])
            if skin is None:
                break
            state, final = minimize([skin, *shown.terms()], state, steps)
        eye = 1e-9 * torch.eye(state.unknowns, dtype=torch.float64)
        variance = torch.linalg.inv(final.hessian + eye)[:, BETAS, BETAS].diagonal(dim1=1, dim2=2)
        return arrays_of(state, certainty=chosen[frames, None] * variance.clamp(min=1e-6) ** -0.5)

    def _with_one_shape(self, film: Film, state: BodyState, certainty: Tensor) -> BodyState:
        """Give all frames the median shape, and move them so that they look the same."""
        betas = weighted_median(state.betas[film.seen], certainty[film.seen])
        return film.look_alike(state, replace(state, betas=betas.expand_as(state.betas)))

    def _together(self, film: Film, state: BodyState, gravity: Gravity, kept: Kept) -> tuple[BodyState, Tensor, Tensor]:
        """Fit all frames of the track together, window by window.

        Args:
            film: The input.
            state: T bodies of one shape.
            gravity: The direction of gravity in the world.
            kept: Where the windows are kept.

        Returns:
            T bodies, the standard deviations (T, 24) of their joints relative to the pelvis, metres, and which parts of
            the feet touch the floor, (T, 4) bool.
        """
        rotations, translation = state.rotations.clone(), state.translation.clone()
        deviation = torch.full((len(state), NUM_JOINTS), UNKNOWN, dtype=torch.float64)
        contacts = torch.zeros(len(state), len(FOOT_POINTS), dtype=torch.bool)

        def fit(frames: slice, past: Past | None, steps: Sequence[int], fixed: int = 0) -> Window:
            start = BodyState(rotations[frames], translation[frames], state.betas[frames])
            return self._window(film, frames, start, past, contacts[frames], gravity, steps, fixed)

        def forward(frames: slice, following: int, past: Past | None) -> dict[str, np.ndarray]:
            window = fit(frames, past, self.settings.steps[:-1])
            fitted = arrays_of(window.state, deviation=window.deviation()[: following - frames.start])
            behind = window.past(following - frames.start) if following < frames.stop else None
            return fitted if behind is None else fitted | past_arrays(behind)

        def backward(frames: slice, past: Past | None, fixed: int) -> dict[str, np.ndarray]:
            return arrays_of(fit(frames, past, self.settings.steps[-1:], fixed).state)

        def take(frames: slice, arrays: Mapping[str, np.ndarray]) -> None:
            fitted = state_of(arrays)
            rotations[frames], translation[frames] = fitted.rotations, fitted.translation

        for windows in self._windows(film):
            pasts: list[Past | None] = [None]
            for start, stop, following in windows:
                frames = slice(start, stop)
                arrays = kept(f"forward_{start:08d}", partial(forward, frames, following, pasts[-1]))
                take(frames, arrays)
                pasts.append(past_of(arrays))
                deviation[start:following] = torch.from_numpy(arrays["deviation"])
            whole = slice(windows[0][0], windows[-1][1])
            now = BodyState(rotations[whole], translation[whole], state.betas[whole])
            contacts[whole] = self._contacts(film, whole, now, gravity)
            for (start, stop, following), past in reversed(list(zip(windows, pasts))):
                fixed = BAND if following < stop else 0
                frames = slice(start, following + fixed)
                take(frames, kept(f"backward_{start:08d}", partial(backward, frames, past, fixed)))
        return BodyState(rotations, translation, state.betas), deviation, contacts

    def _windows(self, film: Film) -> Iterator[list[tuple[int, int, int]]]:
        """For each part of the track: where its windows begin and end, and where the next one begins."""
        settings = self.settings
        for begin, end in segments(film, settings.longest_gap):
            windows, start = [], begin
            while start + settings.window < end:
                stop = start + settings.window
                windows.append((start, stop, stop - settings.overlap))
                start = stop - settings.overlap
            yield [*windows, (start, end, end)]

    def _window(
        self,
        film: Film,
        frames: slice,
        state: BodyState,
        past: Past | None,
        contacts: Tensor,
        gravity: Gravity,
        rounds: Sequence[int],
        fixed: int,
    ) -> Window:
        """Fit the frames of a window.

        Args:
            film: The input.
            frames: The window.
            state: The bodies from which to start.
            past: What is known of the first two frames by those before the window.
            contacts: Contacts of the feet; if there are several rounds, they are found anew after each.
            gravity: The direction of gravity in the world.
            rounds: Steps of each round.
            fixed: Number of frames at the window's end that stay as they are.
        """
        usual = film.balance
        balance = replace(usual, prior=self.settings.prior * usual.prior)
        shown = film.shown(frames, balance, gravity)
        reach, _ = self.fitter.settings.outline.reaches[-1]
        for number, steps in enumerate(rounds):
            if number:
                contacts = self._contacts(film, frames, state, gravity)
            skin = shown.skin(state, reach)
            window = Window(
                self.fitter.skeleton,
                [*([] if skin is None else [skin]), *shown.terms()],
                partial(self._time_terms, film, frames, contacts),
                past,
                state,
                self._share(film, frames),
            )
            time_terms = window.time_terms(slice(0, len(state)))
            state, _ = minimize_coupled(window.frame_terms, time_terms, state, steps, fixed)
        return replace(window, state=state)

    def _contacts(self, film: Film, frames: slice, state: BodyState, gravity: Gravity) -> Tensor:
        points = landmark_positions(self._feet, state) @ film.turns[frames]
        feet = replace(self.settings.feet, depth=1.0) if film.sees_depth else self.settings.feet
        found = contacts_of(points.numpy(), film.times[frames].numpy(), -gravity.direction, feet)
        return torch.from_numpy(found)

    def _time_terms(self, film: Film, frames: slice, contacts: Tensor, part: slice) -> list[TimeTerm]:
        """The terms over time of a part of a window."""
        settings = self.settings
        terms: list[TimeTerm] = []
        times, turns = film.times[frames][part], film.turns[frames][part]
        if settings.smooth > 0 and len(times) > BAND:
            looseness = max(1 - settings.smooth, LEAST_LOOSENESS) / settings.smooth * USUAL_RATE**1.5
            skeleton, differences, freedom = self.fitter.skeleton, Accelerations.of(times), settings.freedom
            terms.append(JointAccelerations(skeleton, turns, differences, looseness * settings.joints, freedom))
            terms.append(TurnAccelerations(turns, times, looseness * settings.turns, freedom))
        if settings.standing and contacts[part].any():
            terms.append(StandingTerm(self._feet, turns, times, contacts[part], settings.feet))
        return terms

    def _share(self, film: Film, frames: slice) -> float:
        """The share of the time in which errors last that a frame stands for."""
        times = film.times[frames]
        step = float(times.diff().mean()) if len(times) > 1 else np.inf
        return min(step / (2 * self.settings.lasting), 1.0)

    def _pelvis(self, betas: Tensor) -> Tensor:
        """(3,) place of the pelvis at rest."""
        skeleton = self.fitter.skeleton
        return torch.from_numpy(skeleton.rest_joints[0] + skeleton.joint_shapes[0] @ betas[0].numpy())


def weighted_median(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted median of each column: half the weight lies on either side.

    Args:
        values: (T, S).
        weights: (T, S), not negative, with a positive sum.

    Returns:
        (S,).

    Example:
        >>> import torch
        >>> from meshrec.fit.sequence import weighted_median
        >>> weighted_median(torch.tensor([[1.0], [2.0], [9.0]]), torch.tensor([[1.0], [1.0], [3.0]])).tolist()
        [9.0]
    """
    ordered, order = values.sort(0)
    share = weights.gather(0, order).cumsum(0)
    middle = (share >= share[-1] / 2).int().argmax(0)
    return ordered.gather(0, middle[None])[0]


def _joined(parts: Sequence[BodyState]) -> BodyState:
    return BodyState(*(torch.cat([getattr(p, name) for p in parts]) for name in ("rotations", "translation", "betas")))
