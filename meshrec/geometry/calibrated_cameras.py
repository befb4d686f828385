"""Calibrated cameras with distorting lenses: points and pictures become those of a pinhole camera once, at the door.

Everything behind the door uses :class:`Camera`, which has no distortion. Removing the distortion keeps the calibration
matrix and the picture's size, so that undistorted points, undistorted pictures and the camera belong together.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike

from meshrec.errors import InputError
from meshrec.geometry.cameras import Camera

PINHOLE_COUNTS = (5, 8, 12, 14)  # of distortion coefficients in OpenCV's model; four are given a k3 of zero
FISHEYE_COUNT = 4
TURNING = 8.0  # up to which radius, in focal lengths, a turning point of the distortion is looked for; 83 degrees
STEPS = 4001
OUTSIDE = -10_000.0  # a pixel that is in no picture
ITERATIONS = 30
SOLVED = 1e-3  # pixels by which an undistorted point, distorted again, may miss the point
BLOCK = 16  # pixels of a side of a macroblock of H.264, and of the other codecs before HEVC
OFF_CENTRE = 0.25  # of a side by which a principal point may lie off the middle of a picture whose size a file lacks


@dataclass(frozen=True, eq=False)
class CalibratedCamera:
    """A camera as a calibration gives it.

    Attributes:
        name: Its name in the calibration.
        camera: The pinhole camera with extrinsics from world to camera, metres.
        distortion: Coefficients in OpenCV's order, k1, k2, p1, p2, k3, ...: 5, 8, 12 or 14; with ``fisheye`` the four
            of OpenCV's fisheye model. Fewer are filled up with zeros.
        fisheye: Whether the lens follows OpenCV's fisheye model.
        sized: Whether the calibration says the picture's size. Otherwise ``camera.size`` is a guess from the principal
            point, and :meth:`for_picture` puts the true one there.
        placed: Whether the calibration has extrinsics; without, those of ``camera`` are the identity.
        notes: Remarks for the user.

    Raises:
        ValueError: The name is empty or not printable, or the number of coefficients is none of these, or one is not
            finite.

    Example:
        >>> from meshrec.geometry import Camera
        >>> from meshrec.geometry.calibrated_cameras import CalibratedCamera
        >>> lens = CalibratedCamera("cam1", Camera(1000.0, size=(1920, 1080)), distortion=(-0.1,))
        >>> lens.for_picture((960, 540)).notes
        ('camera cam1: its calibration, made at 1920 x 1080 pixels, is scaled to pictures of 960 x 540',)
    """

    name: str
    camera: Camera
    distortion: tuple[float, ...] = ()
    fisheye: bool = False
    sized: bool = True
    placed: bool = True
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable() or len(self.name) > 200:
            raise ValueError("the name of a camera must have 1 to 200 printable characters")
        values = [float(value) for value in self.distortion]
        counts = (FISHEYE_COUNT,) if self.fisheye else PINHOLE_COUNTS
        while self.fisheye and len(values) > FISHEYE_COUNT and values[-1] == 0:
            values.pop()
        count = next((count for count in counts if count >= len(values)), None)
        if count is None:
            model = "fisheye" if self.fisheye else "lens"
            raise ValueError(f"a {model} has at most {counts[-1]} distortion coefficients")
        if not np.isfinite(values).all():
            raise ValueError("distortion coefficients must be finite")
        object.__setattr__(self, "distortion", tuple(values + [0.0] * (count - len(values))))

    @property
    def matrix(self) -> np.ndarray:
        """Calibration matrix K, (3, 3) float64."""
        (fx, fy), (cx, cy) = _floats(self.camera.focal), _floats(self.camera.center)
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])

    @property
    def rotation(self) -> np.ndarray:
        """World to camera, (3, 3) float64."""
        return _floats(self.camera.rotation)

    @property
    def translation(self) -> np.ndarray:
        """World to camera, (3,) float64, metres."""
        return _floats(self.camera.translation)

    @property
    def place(self) -> np.ndarray:
        """The camera's place in the world, (3,) float64, metres."""
        return -self.rotation.T @ self.translation

    @property
    def distorts(self) -> bool:
        """Whether its pictures differ from a pinhole camera's."""
        return self.fisheye or any(self.distortion)

    def for_picture(self, size: tuple[int, int]) -> "CalibratedCamera":
        """This camera for pictures of another size, if it belongs to them.

        They may be scaled, and they may lack the last columns or rows with which codecs fill up blocks of 16
        pixels, as those of 1920 x 1080 have 1920 x 1088 coded. Notes say so.

        Args:
            size: (W, H) pixels of the pictures.

        Raises:
            InputError: The calibration does not belong to pictures of this size.
        """
        width, height = size
        if not self.sized:
            middle, (cx, cy) = ((width - 1) / 2, (height - 1) / 2), _floats(self.camera.center)
            if abs(cx - middle[0]) > OFF_CENTRE * width or abs(cy - middle[1]) > OFF_CENTRE * height:
                raise InputError(
                    f"camera {self.name}: the principal point of its calibration ({cx:.0f}, {cy:.0f}) is far from the "
                    f"middle of its pictures of {width} x {height} pixels, so that these have another size than those "
                    "for the calibration, or are turned."
                )
            return replace(self, camera=replace(self.camera, size=(width, height)), sized=True)
        ours = self.camera.size
        if (width, height) == ours:
            return self
        if abs(width - ours[0]) <= 1 and abs(height - ours[1]) <= 1:  # programs count the last column and row or not
            return replace(self, camera=replace(self.camera, size=(width, height)))
        made = f"camera {self.name}: its calibration, made at {ours[0]} x {ours[1]} pixels, "
        cut = _cut_to_blocks(ours, (width, height))
        if cut != ours:
            note = f"{made}is taken for that of coded blocks, of which pictures show {cut[0]} x {cut[1]}"
            whole = replace(self, camera=replace(self.camera, size=cut), notes=(*self.notes, note))
            return whole.for_picture((width, height))
        if not _same_shape(ours, (width, height)):
            turned = ", which are turned by 90 degrees" if _same_shape(ours, (height, width)) else ""
            raise InputError(
                f"{made}does not belong to pictures of {width} x {height}{turned}; "
                + ("turn them as they were for the calibration." if turned else "give the pictures it was made for.")
            )
        ratio = np.array([width, height]) / ours
        camera = replace(
            self.camera,
            focal=tuple(_floats(self.camera.focal) * ratio),
            center=tuple((_floats(self.camera.center) + 0.5) * ratio - 0.5),
            size=(width, height),
        )
        note = f"{made}is scaled to pictures of {width} x {height}"
        return replace(self, camera=camera, notes=(*self.notes, note))

    @cached_property
    def reach(self) -> float:
        """Radius on the plane z = 1 up to which the distortion is invertible; infinity if no limit is near.

        Calibrations fit the lens inside of the picture. Further out, the polynomial of a barrel distortion turns back,
        and points far outside of the view would seem to lie in it.
        """
        radius = np.linspace(0, TURNING, STEPS)
        if self.fisheye:
            angle = np.arctan(radius)
            k1, k2, k3, k4 = self.distortion
            squared = angle * angle
            seen = angle * (1 + squared * (k1 + squared * (k2 + squared * (k3 + squared * k4))))
        else:
            squared = radius * radius
            k1, k2, _, _, k3, *rest = self.distortion
            k4, k5, k6 = rest[:3] if rest else (0.0, 0.0, 0.0)
            above = 1 + squared * (k1 + squared * (k2 + squared * k3))
            below = 1 + squared * (k4 + squared * (k5 + squared * k6))
            seen = radius * above / np.where(below > 0, below, np.nan)
        turns = np.flatnonzero(~(np.diff(seen) > 0))
        return float(radius[turns[0]]) if len(turns) else float("inf")

    @cached_property
    def _maps(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each pixel of the undistorted picture comes from, as ``cv2.remap`` wants it; kept with the camera."""
        import cv2

        matrix, coefficients, size = self.matrix, np.array(self.distortion), self.camera.size
        make = cv2.fisheye.initUndistortRectifyMap if self.fisheye else cv2.initUndistortRectifyMap
        from_x, from_y = make(matrix, coefficients, np.eye(3), matrix, size, cv2.CV_32FC1)
        across, down = (np.arange(side) for side in size)
        ray_x, ray_y = (across - matrix[0, 2]) / matrix[0, 0], (down - matrix[1, 2]) / matrix[1, 1]
        from_x[ray_x**2 + ray_y[:, None] ** 2 > self.reach**2] = OUTSIDE  # black, and no mirrored parts of the picture
        return cv2.convertMaps(from_x, from_y, cv2.CV_16SC2)


@dataclass(frozen=True, eq=False)
class Calibration:
    """The cameras of a room.

    Attributes:
        cameras: The cameras by name, in the calibration's order.
        up: Axis of the world that points up, such as "z" or "-y"; None if it is not known.
        notes: Remarks for the user on all cameras; those on one are with it.
    """

    cameras: dict[str, CalibratedCamera]
    up: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def placed(self) -> bool:
        """Whether every camera has extrinsics."""
        return all(camera.placed for camera in self.cameras.values())


def undistort_points(points: ArrayLike, calibrated: CalibratedCamera) -> np.ndarray:
    """Move points of a picture to where the pinhole camera would have seen them.

    Newton's method inverts OpenCV's distortion models.

    Args:
        points: (..., 2) or (..., 3) pixels x, y of the original picture, and confidence.
        calibrated: The camera that took it.

    Returns:
        The points in pixels of ``calibrated.camera``, float64. A point that no ray reaches through this lens, as it
        happens outside of the picture, keeps its place; its confidence, if there is one, becomes 0.

    Raises:
        ValueError: ``points`` has another shape.

    Example:
        >>> from meshrec.geometry import Camera
        >>> from meshrec.geometry.calibrated_cameras import CalibratedCamera, undistort_points
        >>> lens = CalibratedCamera("cam1", Camera(1000.0, (960, 540), (1920, 1080)), distortion=(-0.1,))
        >>> undistort_points([[960, 540], [1900, 540]], lens).round(1).tolist()
        [[960.0, 540.0], [2018.6, 540.0]]
    """
    moved = _points(points)
    if not calibrated.distorts or not moved.size:
        return moved
    seen = moved[..., :2].reshape(-1, 2)
    rays, solved = (_from_fisheye if calibrated.fisheye else _from_lens)(seen, calibrated)
    solved &= np.hypot(rays[:, 0], rays[:, 1]) <= calibrated.reach
    matrix = calibrated.matrix
    pixels = rays * matrix[[0, 1], [0, 1]] + matrix[:2, 2]
    moved[..., :2] = np.where(solved[:, None], pixels, seen).reshape(moved[..., :2].shape)
    if moved.shape[-1] == 3:
        moved[..., 2] *= solved.reshape(moved.shape[:-1])
    return moved


def distort_points(points: ArrayLike, calibrated: CalibratedCamera) -> np.ndarray:
    """The inverse of :func:`undistort_points`: where the lens shows the points of the pinhole camera.

    Args:
        points: (..., 2) or (..., 3) pixels x, y of ``calibrated.camera``, and confidence.
        calibrated: The camera.

    Returns:
        The points in pixels of the original picture, float64.

    Raises:
        ValueError: ``points`` has another shape.
    """
    moved = _points(points)
    if not calibrated.distorts or not moved.size:
        return moved
    rays = _normalised(moved[..., :2].reshape(-1, 2), calibrated.matrix)
    moved[..., :2] = _distorted(rays, calibrated).reshape(moved[..., :2].shape)
    return moved


def undistort_image(image: np.ndarray, calibrated: CalibratedCamera) -> np.ndarray:
    """Remove the lens distortion of a picture, interpolating bilinearly. What the lens did not see becomes black.

    The first picture of a camera makes a map of its pixels, which is kept with the camera.

    Args:
        image: (H, W) or (H, W, C) uint8.
        calibrated: The camera that took it.

    Returns:
        The picture that ``calibrated.camera`` would have taken, of the same shape; without distortion the same array.

    Raises:
        ValueError: The picture has another size than the camera (:meth:`CalibratedCamera.for_picture`).
    """
    import cv2

    height, width = image.shape[:2]
    if (width, height) != calibrated.camera.size:
        raise ValueError(f"the picture has {width} x {height} pixels, its camera {calibrated.camera.size}")
    return cv2.remap(image, *calibrated._maps, cv2.INTER_LINEAR) if calibrated.distorts else image


def _from_lens(seen: np.ndarray, calibrated: CalibratedCamera) -> tuple[np.ndarray, np.ndarray]:
    """Rays (N, 2) on the plane z = 1 that the lens shows at ``seen`` (N, 2), and which were found.

    Newton's method from the distorted rays approaches without passing the turning point: from below for a barrel
    distortion, which is concave in the radius, and from above for a pincushion.
    """
    rays = start = _normalised(seen, calibrated.matrix)
    error = _distorted(rays, calibrated) - seen
    step = 1e-6
    with np.errstate(all="ignore"):
        for _ in range(ITERATIONS):
            dx, dy = (
                (_distorted(rays + shift, calibrated) - _distorted(rays - shift, calibrated)) / (2 * step)
                for shift in np.eye(2) * step
            )
            determinant = dx[:, 0] * dy[:, 1] - dx[:, 1] * dy[:, 0]
            along_x = (error[:, 0] * dy[:, 1] - error[:, 1] * dy[:, 0]) / determinant
            along_y = (error[:, 1] * dx[:, 0] - error[:, 0] * dx[:, 1]) / determinant
            moved = rays - np.stack([along_x, along_y], axis=-1)
            rays = np.where(np.isfinite(moved).all(1, keepdims=True) & (np.abs(moved) < 1e3), moved, start)
            error = _distorted(rays, calibrated) - seen
            if np.abs(error).max() < 1e-9:
                break
    return rays, np.abs(error).max(1) < SOLVED


def _from_fisheye(seen: np.ndarray, calibrated: CalibratedCamera) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`_from_lens`, for OpenCV's fisheye model: theta_d = theta (1 + k1 theta^2 + ... + k4 theta^8)."""
    plane = _normalised(seen, calibrated.matrix)
    target = np.hypot(plane[:, 0], plane[:, 1])
    angle = np.minimum(target, np.pi / 2)
    powers = np.array([1, *calibrated.distortion])
    orders = np.arange(1, 10, 2)
    with np.errstate(all="ignore"):
        for _ in range(ITERATIONS):
            value = angle[:, None] ** orders @ powers
            slope = angle[:, None] ** (orders - 1) @ (powers * orders)
            moved = angle - (value - target) / slope
            angle = np.where(np.isfinite(moved) & (moved >= 0) & (moved < np.pi), moved, angle)
        residual = np.abs(angle[:, None] ** orders @ powers - target)
        solved = (residual * calibrated.matrix[[0, 1], [0, 1]].max() < SOLVED) & (angle < np.pi / 2)
        scale = np.where(target > 1e-12, np.tan(angle) / target, 1)
    return plane * scale[:, None], solved


def _distorted(rays: np.ndarray, calibrated: CalibratedCamera) -> np.ndarray:
    """Pixels (N, 2) at which the lens shows rays (N, 2) on the plane z = 1."""
    import cv2

    matrix, coefficients = calibrated.matrix, np.array(calibrated.distortion)
    if calibrated.fisheye:
        return cv2.fisheye.distortPoints(rays[:, None], matrix, coefficients)[:, 0]
    points = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)
    return cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, coefficients)[0][:, 0]


def _normalised(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return (pixels - matrix[:2, 2]) / matrix[[0, 1], [0, 1]]


def _points(points: ArrayLike) -> np.ndarray:
    copied = np.array(points, np.float64)
    if copied.ndim < 1 or copied.shape[-1] not in (2, 3):
        raise ValueError(f"points must be (..., 2) or (..., 3), not {copied.shape}")
    return copied


def _floats(values: object) -> np.ndarray:
    """Numbers or a tensor of a camera as float64."""
    return torch.as_tensor(values, dtype=torch.float64).detach().cpu().numpy()


def _same_shape(ours: tuple[int, int], theirs: tuple[int, int]) -> bool:
    """Whether two sizes have the same aspect ratio, but for rounding to whole pixels."""
    return abs(theirs[0] - ours[0] * theirs[1] / ours[1]) <= 1 or abs(theirs[1] - ours[1] * theirs[0] / ours[0]) <= 1


def _cut_to_blocks(ours: tuple[int, int], theirs: tuple[int, int]) -> tuple[int, int]:
    """The size without what a codec adds to fill up whole blocks, if that gives the aspect ratio of the pictures."""
    for side in (0, 1):
        cut = list(ours)
        shown, rest = divmod(theirs[side] * ours[1 - side], theirs[1 - side])
        if rest == 0 and ours[side] % BLOCK == 0 and ours[side] - BLOCK < shown < ours[side]:
            cut[side] = shown
            return cut[0], cut[1]
    return ours
