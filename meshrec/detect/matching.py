"""Which detections in several cameras show the same person at one instant.

A set of detections, at most one of each camera, is taken for one person by its evidence: how much better its keypoints
agree with points in space than those of different people would, as the logarithm of a likelihood ratio. Sets are merged
greedily, the best union first, as long as evidence grows, and single detections are then moved and exchanged. A union
is judged by the rays of all its cameras together: two cameras alone cannot tell people whose rays happen to cross, but
three seldom meet where nobody stands.

Rays of cameras that stand opposite each other are nearly parallel, so that they agree about almost anybody between
them; their keypoints count by the angle between them. The lengths of the limbs tell such people, too.

Detectors exchange left and right now and then, mostly of people seen from behind; sets are tried with the sides of each
camera exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from meshrec.body.joints import LIMB_JOINTS, flip_permutation, joint_set
from meshrec.detect.clothes_colors import color_difference
from meshrec.detect.people import Detection
from meshrec.geometry.cameras import Camera
from meshrec.geometry.rays import camera_center, rays_of, solve_normal

# Limbs between two joints, and their lengths on the neutral body, metres. Trunk: from shoulder to hip of one side.
LIMBS = {
    ("hip", "knee"): 0.379,
    ("knee", "ankle"): 0.433,
    ("shoulder", "elbow"): 0.257,
    ("elbow", "wrist"): 0.231,
    ("shoulder", "hip"): 0.489,
}
ADULT = 1.69  # stature to which the lengths belong, metres


@dataclass(frozen=True)
class MatchingSettings:
    """What makes detections one person.

    Attributes:
        noise: Standard deviation of a keypoint of which the detector is sure, as a share of the person's size in the
            picture.
        doubt: By how much the standard deviation grows, relatively, of a keypoint whose confidence is 0.
        least_confidence: Keypoints of lower confidence take no part.
        other: Standard deviation of somebody else's keypoints from where they would have to be, likewise.
        most_against: Greatest evidence of one keypoint in one camera against a person: keypoints may be wrong.
        independent: Evidence of a keypoint as a share of what it would be if errors of keypoints were independent.
        angle: Angle between rays at which a keypoint counts half, degrees.
        limb_spread: Standard deviation of the logarithm of a limb's length, for a person of known size.
        limb_evidence: Evidence of a limb of the right length.
        statures: Least and greatest stature of people, metres; None if the cameras' scale is unknown.
        exchange: Evidence that it takes to believe that one camera's left and right are exchanged.
        color_usual: Difference of the colours of clothes, in [0, 1], at which it is as likely that they are one
            person's as that they are two people's: cameras and lights differ.
        color_weight: Evidence of a difference that is smaller by 0.1, for each camera.
        color_most: Greatest difference that counts.
        least_evidence: Evidence that a union has to add.
        join: Median distance of keypoints, as a share of the person's size, up to which a detection with errors that
            are too large for a union is added to those that show the same person, if it can be nobody else.
        join_ratio: The distance has to be less than this share of that of any other detection that nobody has, and of
            that to any other person.
    """

    noise: float = 0.025
    doubt: float = 2.0
    least_confidence: float = 0.15
    other: float = 0.12
    most_against: float = 2.5
    independent: float = 0.4
    angle: float = 15.0
    limb_spread: float = 0.25
    limb_evidence: float = 0.5
    statures: tuple[float, float] | None = (0.9, 2.1)
    exchange: float = 1.0
    color_usual: float = 0.15
    color_weight: float = 1.0
    color_most: float = 0.35
    least_evidence: float = 0.0
    join: float = 0.12
    join_ratio: float = 0.5


@dataclass(frozen=True, eq=False)
class Match:
    """A person at one instant, as several cameras see them.

    Attributes:
        views: By index of the camera, the index of the detection that shows the person; at least one.
        exchanged: The cameras of these that have left and right the other way round than most.
        evidence: Logarithm of how much likelier these detections are of one person than of several; 0 of one camera.
        points: (K, 3) where the rays of the keypoints meet, in the world, metres, with the sides that most cameras say;
            NaN where fewer than two cameras see one.
        joints: Names of the K keypoints, those that all cameras' detectors have.
    """

    views: dict[int, int]
    exchanged: frozenset[int]
    evidence: float
    points: np.ndarray
    joints: tuple[str, ...]

    @property
    def place(self) -> np.ndarray:
        """(3,) median of the points, metres; NaN where no point is known."""
        known = ~np.isnan(self.points[:, 0])
        return np.median(self.points[known], axis=0) if known.any() else np.full(3, np.nan)


def match_people(
    detections: Sequence[Sequence[Detection]],
    cameras: Sequence[Camera],
    settings: MatchingSettings = MatchingSettings(),
    colors: Sequence[Sequence[np.ndarray]] | None = None,
    together: np.ndarray | None = None,
) -> list[Match]:
    """Find out which detections show the same person.

    Args:
        detections: Of each camera everyone who is seen in it, in pixels without lens distortion.
        cameras: The cameras, with extrinsics in metres.
        settings: What makes detections one person.
        colors: Of each camera the colours (2, 3) of everyone's clothes, as
            :func:`meshrec.detect.clothes_colors.clothes_colors` gives them.
        together: (D, D) symmetric evidence from elsewhere, such as from the instants before, that two of all D
            detections are of one person; they are numbered camera after camera.

    Returns:
        Everyone, each detection once; those in most cameras first.

    Raises:
        ValueError: The numbers of cameras differ, or the detectors have no keypoint in common.

    Example:
        >>> import numpy as np
        >>> from meshrec.detect import Detection
        >>> from meshrec.detect.matching import match_people
        >>> from meshrec.geometry import Camera
        >>> def person(x, y):  # 17 points at one distance from the camera
        ...     keypoints = np.array([[x + 10 * (i % 5), y + 12 * i, 1] for i in range(17)])
        ...     return Detection(np.array([x, y, x + 40, y + 192]), keypoints, "coco17", 0.9)
        >>> left, right = Camera(500.0, size=(640, 480)), Camera(500.0, size=(640, 480), translation=(-0.6, 0.0, 0.0))
        >>> in_left, in_right = [person(200, 100), person(400, 150)], [person(325, 150), person(100, 100)]
        >>> [match.views for match in match_people([in_left, in_right], [left, right])]
        [{0: 0, 1: 1}, {0: 1, 1: 0}]
    """
    if len(detections) != len(cameras):
        raise ValueError(f"there are {len(cameras)} cameras, but detections of {len(detections)}")
    people = [(c, i, person) for c, found in enumerate(detections) for i, person in enumerate(found)]
    if not people:
        return []
    given = None if colors is None else [colors[c][i] for c, i, _ in people]
    seen = _Seen.of([(c, person) for c, _, person in people], cameras, settings)
    seen = replace(seen, together=_pairs(len(people), together, given, settings))
    groups = _joined(_moved(_merged(seen, settings), seen, settings), seen, settings)
    matches = [_as_match(group, seen, people, settings) for group in groups]
    return sorted(matches, key=lambda match: (-len(match.views), -match.evidence, min(match.views.items())))


@dataclass(frozen=True, eq=False)
class _Seen:
    """D detections as rays: cameras (D,), origins (D, 3), directions (2, D, K, 3), the second time with left and right
    exchanged, confidences (2, D, K), sizes of the people as tangents of angles (D,), the names of the keypoints, and
    the evidence of pairs (D, D) that does not come from keypoints."""

    camera: np.ndarray
    origins: np.ndarray
    directions: np.ndarray
    confidence: np.ndarray
    size: np.ndarray
    joints: tuple[str, ...]
    together: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    @classmethod
    def of(
        cls, people: Sequence[tuple[int, Detection]], cameras: Sequence[Camera], settings: MatchingSettings
    ) -> _Seen:
        """The rays of people, each with the index of the camera."""
        joints = common_joints([person.joint_set for _, person in people])
        indices = {
            name: [joint_set(name).index(joint) for joint in joints] for name in {p.joint_set for _, p in people}
        }
        swap = flip_permutation(joints)
        keypoints = np.stack([person.keypoints[indices[person.joint_set]] for _, person in people]).astype(np.float64)
        directions = np.stack(
            [rays_of(cameras[c], points[:, :2]).directions for (c, _), points in zip(people, keypoints)]
        )
        confidence = np.clip(keypoints[..., 2], 0, 1)
        confidence = np.where(confidence < settings.least_confidence, 0, confidence)
        sizes = [
            person_size(points, joints) / float(np.mean(np.array(cameras[c].focal)))
            for (c, _), points in zip(people, keypoints)
        ]
        return cls(
            np.array([c for c, _ in people]),
            np.stack([camera_center(cameras[c]) for c, _ in people]),
            np.stack([directions, directions[:, swap]]),
            np.stack([confidence, confidence[:, swap]]),
            np.array(sizes),
            joints,
        )


@dataclass(frozen=True)
class _Group:
    """Detections that are taken for one person: their indices, whether left and right of each are exchanged, and their
    evidence."""

    members: tuple[int, ...]
    sides: tuple[bool, ...]
    evidence: float = 0.0


def common_joints(sets: Sequence[str]) -> tuple[str, ...]:
    """The names of the joints that all of some joint sets have, in the order of the first.

    Raises:
        ValueError: There is none.

    Example:
        >>> from meshrec.detect.matching import common_joints
        >>> len(common_joints(["coco17", "openpose25"])), common_joints(["lsp14", "coco17"])[:2]
        (17, ('right_ankle', 'right_knee'))
    """
    shared = tuple(name for name in joint_set(sets[0]) if all(name in joint_set(other) for other in sets[1:]))
    if not shared:
        raise ValueError(f"the joint sets {', '.join(sorted(set(sets)))} have no joint in common")
    return shared


def person_size(keypoints: np.ndarray, joints: Sequence[str], least: float = 0.3) -> float:
    """How large a person is in a picture, also one who is cut off by its edge or stoops.

    Args:
        keypoints: (K, 3) x, y and confidence.
        joints: Names of the K keypoints.
        least: Confidence from which a keypoint counts.

    Returns:
        Pixels, at least 1: the diagonal of the box around the keypoints, or what the trunk's length makes likely.
    """
    sure = keypoints[:, 2] >= least
    points = keypoints[sure, :2] if sure.sum() > 1 else keypoints[:, :2]
    size = float(np.linalg.norm(np.ptp(points, axis=0)))
    for side in ("left", "right"):
        ends = [f"{side}_shoulder", f"{side}_hip"]
        if all(name in joints for name in ends):
            a, b = (keypoints[list(joints).index(name)] for name in ends)
            if min(a[2], b[2]) >= least:
                size = max(size, float(np.linalg.norm(a[:2] - b[:2])) * ADULT / LIMBS["shoulder", "hip"])
    return max(size, 1.0)


def _pairs(
    count: int, together: np.ndarray | None, colors: Sequence[np.ndarray] | None, settings: MatchingSettings
) -> np.ndarray:
    """Evidence (D, D) of pairs that does not come from keypoints."""
    evidence = np.zeros((count, count)) if together is None else np.array(together, np.float64)
    if evidence.shape != (count, count):
        raise ValueError(f"evidence of pairs of {count} detections is ({count}, {count}), not {evidence.shape}")
    if colors is not None:
        for i in range(count):
            for j in range(i):
                if not np.isnan(colors[i] - colors[j]).all():
                    apart = min(color_difference(colors[i], colors[j]), settings.color_most)
                    value = settings.color_weight * (settings.color_usual - apart) / 0.1
                    evidence[[i, j], [j, i]] += value
    return evidence


def _judged(groups: Sequence[_Group], seen: _Seen, settings: MatchingSettings) -> list[_Group]:
    """Groups with their evidence."""
    if not groups:
        return []
    most = max(len(group.members) for group in groups)
    members, sides = np.zeros((len(groups), most), int), np.zeros((len(groups), most), int)
    present = np.zeros((len(groups), most), bool)
    for row, group in enumerate(groups):
        count = len(group.members)
        members[row, :count], sides[row, :count], present[row, :count] = group.members, group.sides, True
    points, evidence = _triangulated(members, sides, present, seen, settings)
    evidence = evidence.sum(1) + _limb_evidence(points, seen.joints, settings)
    count = present.sum(1)
    pairs = present[:, :, None] & present[:, None, :] & ~np.eye(most, dtype=bool)
    # The sum over pairs grows with the square of the number of cameras; what they know does not.
    evidence += (seen.together[members[:, :, None], members[:, None, :]] * pairs).sum((1, 2)) / count
    exchanged = (sides * present).sum(1)
    evidence -= settings.exchange * np.minimum(exchanged, count - exchanged)
    evidence = np.where(count > 1, evidence, 0.0)
    return [replace(group, evidence=float(value)) for group, value in zip(groups, evidence)]


def _triangulated(
    members: np.ndarray, sides: np.ndarray, present: np.ndarray, seen: _Seen, settings: MatchingSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, K, 3) of N groups of up to V members (N, V), NaN where unknown, and the evidence (N, K) of each."""
    origins = seen.origins[members][:, :, None]  # (N, V, 1, 3)
    directions = seen.directions[sides, members]  # (N, V, K, 3)
    confidence = seen.confidence[sides, members] * present[..., None]
    size = seen.size[members][..., None]
    used = confidence > 0
    deviation = settings.noise * (1 + settings.doubt * (1 - confidence))
    across = np.eye(3) - directions[..., :, None] * directions[..., None, :]
    foot = (across @ origins[..., None])[..., 0]
    weights = np.where(used, deviation**-2, 0)
    for _ in range(2):  # with the distances that the first round finds, errors are those in the pictures
        point = solve_normal((weights[..., None, None] * across).sum(1), (weights[..., None] * foot).sum(1))
        along = ((point[:, None] - origins) * directions).sum(-1)
        scale = np.maximum(along, 0.1) * size * deviation
        weights = np.where(used & np.isfinite(along), scale**-2, 0)
    behind = along < 0.1
    error = np.linalg.norm((point[:, None] - origins) - along[..., None] * directions, axis=-1)
    squared = np.where(used, np.where(behind, np.inf, np.square(error / scale)), 0).sum(1)
    cosine = np.abs((directions[:, :, None] * directions[:, None]).sum(-1))  # (N, V, V, K)
    both = used[:, :, None] & used[:, None]
    squared_sine = np.where(both, 1 - cosine**2, 0).max((1, 2))
    half = np.sin(np.deg2rad(settings.angle)) ** 2
    sure = np.sort(confidence, axis=1)[:, -2] if confidence.shape[1] > 1 else np.zeros_like(squared)
    freedom = np.maximum(2 * used.sum(1) - 3, 0)
    ratio = 1 + (settings.other / settings.noise) ** 2
    known = (freedom > 0) & np.isfinite(point[..., 0])
    value = 0.5 * freedom * np.log(ratio) - 0.5 * np.where(known, squared, 0) * (1 - 1 / ratio)
    value = np.maximum(value, -settings.most_against * freedom)
    value *= settings.independent * sure * squared_sine / (squared_sine + half)
    return np.where(known[..., None], point, np.nan), np.where(known, value, 0)


def _limb_evidence(points: np.ndarray, joints: Sequence[str], settings: MatchingSettings) -> np.ndarray:
    """Evidence (N,) of the limbs' lengths of N people with points (N, K, 3)."""
    ends = [(f"{side}_{a}", f"{side}_{b}", length) for (a, b), length in LIMBS.items() for side in ("left", "right")]
    ends = [(a, b, length) for a, b, length in ends if a in joints and b in joints]
    if not ends:
        return np.zeros(len(points))
    index = {name: k for k, name in enumerate(joints)}
    first, second = [index[a] for a, _, _ in ends], [index[b] for _, b, _ in ends]
    lengths = np.linalg.norm(points[:, first] - points[:, second], axis=-1)
    ratio = np.log(np.maximum(lengths, 1e-3) / np.array([length for *_, length in ends]))  # (N, L)
    known = ~np.isnan(ratio)
    counted = np.where(known.any(1)[:, None], ratio, 0)
    size = np.nanmedian(counted, axis=1)
    if settings.statures is not None:
        size = np.clip(size, *np.log(np.array(settings.statures) / ADULT))
    off = np.square((ratio - size[:, None]) / settings.limb_spread) / 2
    value = np.maximum(settings.limb_evidence - off, -settings.most_against)
    return settings.independent * np.where(known, value, 0).sum(1)


def _united(a: _Group, b: _Group) -> list[_Group]:
    """Both groups as one, with the sides as they are and with those of the second exchanged."""
    members = a.members + b.members
    return [_Group(members, a.sides + tuple(side != turned for side in b.sides)) for turned in (False, True)]


def _merged(seen: _Seen, settings: MatchingSettings) -> list[_Group]:
    """Groups after greedy merging."""
    groups = {i: _Group((i,), (False,)) for i in range(len(seen.camera))}
    unions: dict[tuple[int, int], _Group] = {}
    new = list(groups)
    while True:
        pairs = [
            (i, j)
            for j in new
            for i in groups
            if i < j and not set(seen.camera[list(groups[i].members)]) & set(seen.camera[list(groups[j].members)])
        ]
        judged = _judged([union for i, j in pairs for union in _united(groups[i], groups[j])], seen, settings)
        for n, pair in enumerate(pairs):
            unions[pair] = max(judged[2 * n : 2 * n + 2], key=lambda union: union.evidence)
        if not unions:
            break
        gains = {(i, j): u.evidence - groups[i].evidence - groups[j].evidence for (i, j), u in unions.items()}
        best = max(gains, key=lambda pair: gains[pair])
        if gains[best] <= settings.least_evidence:
            break
        number = max(groups) + 1
        union = unions[best]
        groups = {i: group for i, group in groups.items() if i not in best} | {number: union}
        unions = {pair: union for pair, union in unions.items() if not set(pair) & set(best)}
        new = [number]
    return list(groups.values())


def _moved(groups: list[_Group], seen: _Seen, settings: MatchingSettings, most: int = 20) -> list[_Group]:
    """Groups after single detections have been moved to another group, exchanged between two, or left alone, as long as
    evidence grows."""
    for _ in range(most):
        changes: list[tuple[int, int | None, list[_Group]]] = []
        for g, group in enumerate(groups):
            if len(group.members) == 1:
                continue
            for n, member in enumerate(group.members):
                rest = _without(group, n)
                changes.append((g, None, [rest]))
                for h, other in enumerate(groups):
                    if h == g:
                        continue
                    same = [m for m, one in enumerate(other.members) if seen.camera[one] == seen.camera[member]]
                    if not same:
                        changes += [(g, h, [rest, union]) for union in _united(other, _Group((member,), (False,)))]
                    elif len(other.members) == 1 or h > g:
                        back = _Group((other.members[same[0]],), (False,))
                        left = _without(other, same[0])
                        there = (
                            _united(left, _Group((member,), (False,)))
                            if left.members
                            else [_Group((member,), (False,))]
                        )
                        changes += [(g, h, [a, b]) for a in _united(rest, back) for b in there]
        flat = iter(_judged([group for *_, new in changes for group in new], seen, settings))
        judged = [(g, h, [next(flat) for _ in new]) for g, h, new in changes]
        if not judged:
            break

        gains = [
            sum(group.evidence for group in new) - groups[g].evidence - (0.0 if h is None else groups[h].evidence)
            for g, h, new in judged
        ]
        best = int(np.argmax(gains))
        if gains[best] <= 1e-6:
            break
        source, target, new = judged[best]
        kept = [group for i, group in enumerate(groups) if i not in (source, target)]
        if target is None:
            new = [*new, _Group(tuple(m for m in groups[source].members if m not in new[0].members), (False,))]
        groups = kept + new
    return groups


def _joined(groups: list[_Group], seen: _Seen, settings: MatchingSettings) -> list[_Group]:
    """Groups to which single detections have been added that show nobody else, but have many errors.

    Half of a detection may be wrong, so the median distance of its keypoints from those of the group decides.
    """
    while True:
        singles = [g for g, group in enumerate(groups) if len(group.members) == 1]
        several = [g for g, group in enumerate(groups) if len(group.members) > 1]
        misses: dict[tuple[int, int], tuple[float, bool]] = {}
        for h in several:
            other = groups[h]
            members, sides = np.array([other.members]), np.array([other.sides], int)
            points, _ = _triangulated(members, sides, np.ones(members.shape, bool), seen, settings)
            taken = set(seen.camera[list(other.members)])
            for g in singles:
                member = groups[g].members[0]
                against = seen.together[member, list(other.members)].sum() < 0
                if seen.camera[member] not in taken and not against:
                    misses[g, h] = min((_miss(points[0], member, side, seen), side) for side in (False, True))
        for (g, h), (miss, side) in sorted(misses.items(), key=lambda item: item[1]):
            rivals = [m for (a, b), (m, _) in misses.items() if (a == g) != (b == h)]
            if miss < settings.join and all(miss < settings.join_ratio * rival for rival in rivals):
                union = _Group(groups[h].members + groups[g].members, (*groups[h].sides, side))
                kept = [group for i, group in enumerate(groups) if i not in (g, h)]
                groups = [*kept, *_judged([union], seen, settings)]
                break
        else:
            return groups


def _miss(points: np.ndarray, member: int, side: bool, seen: _Seen) -> float:
    """Median distance of a detection's keypoints from points (K, 3) of the world, as a share of the person's size;
    infinite if the points are behind the camera or few of them are known."""
    directions, confidence = seen.directions[int(side), member], seen.confidence[int(side), member]
    away = points - seen.origins[member]
    along = (away * directions).sum(-1)
    known = (confidence > 0) & ~np.isnan(along)
    if known.sum() < 4 or np.median(along[known]) < 0.1:
        return float("inf")
    off = np.linalg.norm(away - along[:, None] * directions, axis=-1)[known] / np.maximum(along[known], 0.1)
    return float(np.median(off) / seen.size[member])


def _without(group: _Group, n: int) -> _Group:
    return _Group(group.members[:n] + group.members[n + 1 :], group.sides[:n] + group.sides[n + 1 :])


def _as_match(
    group: _Group, seen: _Seen, people: Sequence[tuple[int, int, Detection]], settings: MatchingSettings
) -> Match:
    """A group as it is reported; most cameras are right about the sides, weighted by the confidence of the limbs."""
    members, sides = np.array([group.members]), np.array([group.sides], int)
    limbs = [k for k, name in enumerate(seen.joints) if name in LIMB_JOINTS] or list(range(len(seen.joints)))
    trust = seen.confidence[0][members[0]][:, limbs].sum(1)
    if trust[sides[0] == 1].sum() > trust[sides[0] == 0].sum():
        sides = 1 - sides
    points, _ = _triangulated(members, sides, np.ones(members.shape, bool), seen, settings)
    views = {people[m][0]: people[m][1] for m in sorted(group.members)}
    exchanged = frozenset(int(seen.camera[m]) for m, side in zip(members[0], sides[0]) if side)
    return Match(views, exchanged, group.evidence, points[0], seen.joints)
