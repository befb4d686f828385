"""Measures of people as anthropometry and tailoring take them: lengths, girths, volume and mass, and how sure they are.

They are taken from the body in T-pose, by planes through landmarks of the skeleton and by the parts of the skin, so
that they mean the same for bodies of any topology. Names are those of ISO 8559-1 ("Size designation of clothes,
anthropometric definitions for body measurement") in plain words, and of the ANSUR II survey (Gordon et al. 2014).
:data:`DEFINITIONS` says for each where it is taken here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

DENSITY = 1.0
"""Kilograms per litre of a body with air in its lungs. By Siri's equation (1961) tissue with 25 % fat has 1.042; some
2.6 litres of air make it 1.00."""
DENSITY_DEVIATION = 0.02
"""Its standard deviation from person to person: 10 % more or less fat change it by that much."""
TRUNK, TORSO_AND_LEG, LIMB = "trunk", "trunk and leg", "limb"


@dataclass(frozen=True)
class Tape:
    """Where a girth is taken: the perimeter of a plane section's convex hull, as of a tight tape.

    Attributes:
        around: Which part of the skin: the ``trunk`` with head and legs, without arms; ``trunk and leg`` of one side;
            or a ``limb`` of one side.
        start, end: Landmarks between which the plane lies; those of a side without ``left_`` or ``right_``.
        reach: The shares of the way from start to end between which it lies.
        choice: Whether the largest or the smallest girth there counts; ``only`` if both ends of the reach are equal.
        level: Whether the plane is horizontal. Otherwise it is at right angles to the line from start to end.
    """

    around: str
    start: str
    end: str
    reach: tuple[float, float]
    choice: Literal["largest", "smallest", "only"]
    level: bool = False


TAPES: dict[str, Tape] = {
    "neck_girth": Tape(TRUNK, "neck", "head", (0.0, 1.0), "smallest"),
    "chest_girth": Tape(TRUNK, "spine2", "armpits", (0.0, 1.0), "largest", level=True),
    "waist_girth": Tape(TRUNK, "spine1", "spine2", (0.5, 0.5), "only", level=True),
    "hip_girth": Tape(TRUNK, "crotch", "pelvis", (0.0, 1.0), "largest", level=True),
    "thigh_girth": Tape(TORSO_AND_LEG, "crotch", "knee", (0.05, 0.05), "only", level=True),
    "calf_girth": Tape(LIMB, "knee", "ankle", (0.1, 0.6), "largest"),
    "ankle_girth": Tape(LIMB, "knee", "ankle", (0.6, 0.98), "smallest"),
    "upper_arm_girth": Tape(LIMB, "shoulder", "elbow", (0.5, 0.5), "only"),
    "forearm_girth": Tape(LIMB, "elbow", "wrist", (0.08, 0.5), "largest"),
    "wrist_girth": Tape(LIMB, "elbow", "wrist", (0.8, 1.0), "smallest"),
}


@dataclass(frozen=True)
class Definition:
    """What a measure is.

    Attributes:
        unit: ``m``, ``kg`` or ``l``.
        iso: The name in ISO 8559-1; empty if it has none.
        ansur: The name in ANSUR II; empty if it has none.
        taken: How it is taken here, and where that differs from the standard.
    """

    unit: str
    iso: str
    ansur: str
    taken: str


_BOTH = "mean of both sides"
DEFINITIONS: dict[str, Definition] = {
    "stature": Definition("m", "stature", "stature", "from the lowest to the highest point"),
    "arm_span": Definition(
        "m",
        "",
        "span",
        "between the fingertips of straightened arms: both arms, and the distance of the shoulder joints",
    ),
    "shoulder_breadth": Definition(
        "m", "shoulder width", "biacromialbreadth", "between the shoulder joints, which lie inside the acromia"
    ),
    "arm_length": Definition(
        "m", "arm length", "sleeveoutseam", f"shoulder joint to elbow joint to wrist joint; {_BOTH}"
    ),
    "inseam": Definition("m", "inside leg height", "crotchheight", "height of the crotch above the lowest point"),
    "foot_length": Definition("m", "foot length", "footlength", f"largest horizontal extent of the foot; {_BOTH}"),
    "neck_girth": Definition(
        "m", "neck girth", "neckcircumference", "smallest girth at right angles to the neck, from its base to the skull"
    ),
    "chest_girth": Definition(
        "m",
        "bust girth",
        "chestcircumference",
        "largest level girth of the trunk between the lowest ribs and the armpits",
    ),
    "waist_girth": Definition(
        "m", "waist girth", "waistcircumference", "level girth midway between the first and second joints of the spine"
    ),
    "hip_girth": Definition(
        "m", "hip girth", "buttockcircumference", "largest level girth between the crotch and the pelvis joint"
    ),
    "thigh_girth": Definition(
        "m", "thigh girth", "thighcircumference", f"level girth a twentieth of the thigh below the crotch; {_BOTH}"
    ),
    "calf_girth": Definition(
        "m", "calf girth", "calfcircumference", f"largest girth at right angles to the shin; {_BOTH}"
    ),
    "ankle_girth": Definition(
        "m", "ankle girth", "anklecircumference", f"smallest girth at right angles to the lower shin; {_BOTH}"
    ),
    "upper_arm_girth": Definition(
        "m", "upper-arm girth", "", f"midway between shoulder and elbow joints, at right angles to the arm; {_BOTH}"
    ),
    "forearm_girth": Definition("m", "", "", f"largest girth of the upper half of the forearm, relaxed; {_BOTH}"),
    "wrist_girth": Definition(
        "m",
        "wrist girth",
        "wristcircumference",
        f"smallest girth at right angles to the forearm, at the wrist; {_BOTH}",
    ),
    "volume": Definition("l", "", "", "inside the skin"),
    "mass": Definition("kg", "", "weightkg", f"the volume times a density of {DENSITY:.2f} kg/l"),
}
"""Every measure by name, in the order of the table."""


@dataclass(frozen=True)
class Measures:
    """Measures of one body, with the names of :data:`DEFINITIONS`.

    Attributes:
        values: Metres; ``volume`` in litres, ``mass`` in kilograms.
        deviations: Standard deviations in the same units; None if the uncertainty of the shape is not known.

    Example:
        >>> import meshrec
        >>> measures = meshrec.measure(meshrec.load_body("neutral"))
        >>> list(measures.values)[:3], round(measures["stature"], 1)
        (['stature', 'arm_span', 'shoulder_breadth'], 1.7)
    """

    values: Mapping[str, float]
    deviations: Mapping[str, float] | None = None

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """For each measure its value, deviation, unit, and what it is, as JSON can hold it."""
        return {
            name: {
                "value": round(value, 5),
                "deviation": None if self.deviations is None else round(self.deviations[name], 5),
                "unit": DEFINITIONS[name].unit,
                "iso_8559_1": DEFINITIONS[name].iso or None,
                "ansur": DEFINITIONS[name].ansur or None,
                "taken": DEFINITIONS[name].taken,
            }
            for name, value in self.values.items()
        }
