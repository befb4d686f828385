"""The settings of a run over photos and clips."""

import math
from dataclasses import dataclass
from pathlib import Path

from meshrec.errors import InputError
from meshrec.reconstruct.clips import ClipSettings
from meshrec.reconstruct.given import require_height

FORMATS = ("obj", "ply", "glb")


@dataclass(frozen=True)
class Settings:
    """Settings of a run: all that the results depend on besides the photos.

    Attributes:
        body: Name or path of the body, as for :func:`meshrec.load_body`.
        device: Device to compute on, such as "cpu" or "cuda".
        formats: Formats of the meshes, of obj, ply and glb.
        skinned: Whether each person's ``.glb`` gets a skeleton.
        texture: Whether the meshes of photos get textures made of the photo.
        focal: Focal length of all photos in pixels. Default: that of each photo's EXIF data.
        focal_network: File of a network for fields of view, for photos without EXIF data and for clips, as for
            :class:`meshrec.Reconstructor`.
        boxes: A file of boxes (:mod:`meshrec.detect.inputs`). If given, only the people in them are reconstructed.
        keypoints: A file or folder of keypoints, as for :func:`meshrec.detect.inputs.read_keypoints`, instead of the
            detector.
        keypoint_layout: Order of the keypoints, a name in :data:`meshrec.detect.layouts.LAYOUTS`. Default: what the
            file tells.
        pose_model: The detector, by name or network file as for :func:`meshrec.detect.load_detector`, such as a
            MediaPipe ``.task`` file. Default: the shipped networks.
        regressor: Name or checkpoint file, as for :class:`meshrec.Reconstructor`.
        refine: Whether to fit the regressor's estimates, as for :class:`meshrec.Reconstructor`.
        ground: Whether meshes and scenes have their floor at y = 0, as :class:`meshrec.reconstruct.Ground` says.
        height: Statures in metres: one of everyone, or one of each person in the order of the result. Default: what the
            photo suggests.
        clip: What is wanted of clips.
        folders_are_clips: Whether each folder that is given holds the frames of one clip.
        depth: Whether the files are maps of a depth camera.
        depth_unit: Metres per unit of these maps. Default: whole numbers are millimetres, others metres.

    Raises:
        InputError: Settings contradict each other, or one has no meaning.
    """

    body: str = "neutral"
    device: str = "cpu"
    formats: tuple[str, ...] = ("obj", "glb")
    skinned: bool = False
    texture: bool = False
    focal: float | None = None
    focal_network: Path | None = None
    boxes: Path | None = None
    keypoints: Path | None = None
    keypoint_layout: str | None = None
    pose_model: Path | None = None
    regressor: str | None = None
    refine: bool = True
    ground: bool = False
    height: tuple[float, ...] | None = None
    clip: ClipSettings = ClipSettings()
    folders_are_clips: bool = False
    depth: bool = False
    depth_unit: float | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            raise InputError(f"unknown formats {', '.join(unknown)}: choose of {', '.join(FORMATS)}.")
        if self.skinned and "glb" not in self.formats:
            raise InputError("a skeleton needs the format glb: OBJ and PLY have none.")
        if self.texture and not {"obj", "glb"} & set(self.formats):
            raise InputError("a texture needs the format obj or glb: PLY has none.")
        if self.focal is not None and not (math.isfinite(self.focal) and self.focal > 0):
            raise InputError(f"the focal length must be a positive number of pixels, not {self.focal}.")
        if self.height is not None:
            if not self.height:
                raise InputError("a height must be a number of metres, or several separated by commas.")
            require_height(self.height)
        if self.depth_unit is not None and not self.depth:
            raise InputError("--depth-unit is for maps of a depth camera, which need --depth.")
        if self.depth:
            self._check_depth()
        if self.boxes is not None and self.keypoints is not None:
            raise InputError("give boxes or keypoints, not both: keypoints already tell where people are.")
        if self.keypoint_layout is not None and self.keypoints is None:
            raise InputError("a keypoint layout is for a file of keypoints, and there is none.")

    def _check_depth(self) -> None:
        """Refuse what depth maps have no use for."""
        if self.focal is None:
            raise InputError("depth maps need --focal: the focal length of the depth camera in pixels.")
        others = {
            "--keypoints": self.keypoints is not None,
            "--pose-model": self.pose_model is not None,
            "--regressor": self.regressor is not None,
            "--no-refine": not self.refine,
            "--texture": self.texture,
            "--height": self.height is not None,
            "--ground": self.ground,
            "--clip": self.folders_are_clips,
        }
        if wrong := [name for name, given in others.items() if given]:
            raise InputError(f"{', '.join(wrong)} cannot be used with --depth; leave it out.")
