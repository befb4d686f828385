"""The orders in which tools write the keypoints of a person, recognised by their number and, where given, their names.

The orders are those of the publications that :mod:`meshrec.body.joints` names.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from meshrec.body.joints import LIMB_JOINTS, joint_set


@dataclass(frozen=True)
class Layout:
    """An order of keypoints.

    Attributes:
        count: Number of keypoints of a person in a file.
        joints: Name of the joint set of the first ones; what follows, such as faces and fingers, is not used.
    """

    count: int
    joints: str

    @property
    def used(self) -> int:
        """Number of the keypoints that are used."""
        return len(joint_set(self.joints))


# Of several with the same number, one that is the usual one stands in USUAL.
LAYOUTS = {
    "coco17": Layout(17, "coco17"),
    "coco18": Layout(18, "coco18"),
    "wholebody23": Layout(23, "wholebody23"),
    "wholebody133": Layout(133, "wholebody23"),
    "openpose25": Layout(25, "openpose25"),
    "openpose_mpi15": Layout(15, "openpose_mpi14"),
    "mediapipe33": Layout(33, "mediapipe33"),
    "halpe26": Layout(26, "halpe26"),
    "halpe136": Layout(136, "halpe26"),
    "aic14": Layout(14, "aic14"),
    "crowdpose14": Layout(14, "crowdpose14"),
    "lsp14": Layout(14, "lsp14"),
    "mpii16": Layout(16, "mpii16"),
    "h36m17": Layout(17, "h36m17"),
    "mpi_inf_3dhp17": Layout(17, "mpi_inf_3dhp17"),
}
USUAL = {17: "coco17"}


def known_counts() -> str:
    """The numbers of keypoints that are known, for messages."""
    return ", ".join(map(str, sorted({layout.count for layout in LAYOUTS.values()})))


def find_layout(count: int, names: Sequence[str] = (), chosen: str | None = None) -> Layout:
    """The layout of a person's keypoints.

    Args:
        count: Number of keypoints.
        names: Names of the keypoints as the file gives them, if it does. A layout fits if its shoulders, elbows,
            wrists, hips, knees and ankles stand where these names have them.
        chosen: The user's choice, a name in :data:`LAYOUTS`.

    Raises:
        ValueError: No layout fits, or several do. The message completes the sentence "person 0 must have ...".
    """
    if chosen is not None:
        if LAYOUTS[chosen].count != count:
            raise ValueError(f"the {LAYOUTS[chosen].count} keypoints of the layout {chosen}, not {count}")
        return LAYOUTS[chosen]
    fitting = {name: layout for name, layout in LAYOUTS.items() if layout.count == count}
    if not fitting:
        raise ValueError(f"the keypoints of a known layout ({known_counts()} of them), not {count}")
    limbs = [_limb(name) for name in names] if len(names) == count else []
    if any(limbs):
        fitting = {name: layout for name, layout in fitting.items() if _agrees(layout, limbs)}
        if not fitting:
            raise ValueError(f"the keypoints of a known layout; {count} of these names and this order are none")
    elif count in USUAL:
        return LAYOUTS[USUAL[count]]
    if len(fitting) > 1:
        raise ValueError(
            f"keypoints whose layout is known: {count} may be {', '.join(fitting)}; say which with --keypoint-layout"
        )
    return next(iter(fitting.values()))


def _agrees(layout: Layout, limbs: Sequence[str]) -> bool:
    """Whether the limb joints of a layout stand where a file's names have them."""
    return all(
        own == theirs for own, theirs in zip(joint_set(layout.joints), limbs) if own in LIMB_JOINTS or theirs
    ) and not any(limbs[layout.used :])


def _limb(name: str) -> str:
    """The limb joint that a tool's name stands for, such as ``Left Knee``, ``l_knee`` or ``LKnee``; else empty."""
    text = "".join(c for c in str(name).lower() if c.isalpha())
    return next((limb for limb in LIMB_JOINTS if text in (limb.replace("_", ""), limb[0] + limb.split("_")[1])), "")
