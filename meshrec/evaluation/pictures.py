"""Pictures of an evaluation: the curve of 3D PCK, and the people with the worst results."""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.joints import joint_set
from meshrec.data.sample import cut
from meshrec.data.sheet import BONES
from meshrec.evaluation.report import PCK_MM, Case, Report
from meshrec.evaluation.scores import MEASURES
from meshrec.geometry import Camera
from meshrec.render.overlay import PAPER, as_bytes, contact_sheet, overlay, person_colors, turned

SIDE, CAPTION = 320, 20  # pixels of each picture, and of the line above it
INK, TRUE = (40, 40, 40), 2  # number of the colour, among those of people, in which the truth is drawn


def worst_sheet(cases: Sequence[Case], body: BodyModel) -> np.ndarray:
    """A row for each case: the crop, the predicted body over it and from the right, and the truth from the right.

    Without a true mesh the true joints are drawn, and without 3D truth the labelled 2D joints.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    return contact_sheet([picture for case in cases for picture in _row(case, body)], columns=4, height=SIDE + CAPTION)


def pck_curve(report: Report) -> bytes:
    """The curve of 3D PCK over the threshold, for all people and for each group, as the bytes of a PNG file.

    Raises:
        ImportError: There is no matplotlib.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(PCK_MM, 100 * report.pck(), color="black", linewidth=2.2, label=f"all ({len(report)})")
    for group, rows in report.groups.items():
        axes.plot(PCK_MM, 100 * report.pck(group), linewidth=1.2, label=f"{group} ({len(rows)})")
    axes.set(
        xlabel="distance from the true joint, mm, roots aligned",
        ylabel="joints within it, %",
        xlim=(0, PCK_MM[-1]),
        ylim=(0, 100),
        title=report.title,
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="best", frameon=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def _row(case: Case, body: BodyModel) -> list[np.ndarray]:
    subject = replace(case.subject.sample, mask=None)
    crop = cut(subject, SIDE).read_image()
    focal, principal = case.subject.crop_camera
    half = SIDE / 2
    camera = Camera(focal * half, (principal + 1) * half - 0.5, (SIDE, SIDE))
    faces = body.faces.cpu()
    drawn = overlay(crop, case.vertices[None], faces, camera)
    side = turned(case.vertices[None], faces, "side", (SIDE, SIDE))
    place = case.subject.sample.name.rpartition(", ")[2]
    unit = MEASURES[case.measure].unit
    return [
        captioned(crop, place),
        captioned(drawn, "predicted"),
        captioned(side, f"{MEASURES[case.measure].label} {case.value:.3g} {unit}".strip()),
        captioned(_true(case, faces, crop), "true"),
    ]


def _true(case: Case, faces: Tensor, crop: np.ndarray) -> np.ndarray:
    if case.true_vertices is not None:
        return turned(case.true_vertices[None], faces, "side", (SIDE, SIDE), person_colors(TRUE + 1)[TRUE:])
    known = (case.joints[:, 3] > 0).numpy()
    if known.any():
        return joints_from_the_side(case.joints[:, :3].numpy(), known, joint_set(case.joint_names), (SIDE, SIDE))
    sample = case.subject.sample
    pixels = (sample.keypoints_2d[:, :2] + 1) * SIDE / 2 - 0.5
    return draw_skeleton(crop.copy(), pixels, sample.keypoints_2d[:, 2] > 0, sample.joints)


def joints_from_the_side(
    joints: np.ndarray, known: np.ndarray, names: Sequence[str], size: tuple[int, int]
) -> np.ndarray:
    """Bones and joints as seen from the photo's right, filling a picture.

    Args:
        joints: (K, 3) joints in camera space, metres.
        known: (K,) bool, which of them are known; at least one.
        names: Names of the K joints.
        size: (W, H) of the picture, pixels.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    points = joints[:, [2, 1]]  # from there, what is further away is to the right
    low, high = points[known].min(0), points[known].max(0)
    scale = 0.85 * float(np.min(size / np.maximum(high - low, 1e-3)))
    paper = np.empty((size[1], size[0], 3), np.uint8)
    paper[:] = as_bytes(np.array(PAPER, np.float32))
    return draw_skeleton(paper, (points - (low + high) / 2) * scale + np.array(size) / 2, known, names)


def draw_skeleton(picture: np.ndarray, pixels: np.ndarray, known: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """A picture with bones and joints drawn into it.

    Args:
        picture: (H, W, 3) uint8 RGB, changed in place.
        pixels: (K, 2) places of the joints.
        known: (K,) bool, which of them are known.
        names: Names of the K joints.
    """
    import cv2

    colour = tuple(int(255 * c) for c in person_colors(TRUE + 1)[TRUE])
    places = [(int(x), int(y)) for x, y in np.round(pixels).clip(-10_000, 10_000)]
    for ends in BONES:
        if set(ends) <= set(names):
            start, end = (names.index(name) for name in ends)
            if known[start] and known[end]:
                cv2.line(picture, places[start], places[end], colour, 3, cv2.LINE_AA)
    for place, is_known in zip(places, known):
        if is_known:
            cv2.circle(picture, place, 3, INK, -1, cv2.LINE_AA)
    return picture


def captioned(picture: np.ndarray, text: str) -> np.ndarray:
    """A picture under a line of text."""
    import cv2

    line = np.empty((CAPTION, picture.shape[1], 3), np.uint8)
    line[:] = as_bytes(np.array(PAPER, np.float32))
    cv2.putText(line, text, (2, CAPTION - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return np.concatenate([line, picture])
