"""Published networks as regressors: each sees people in crops of its own kind, and its camera is moved to the photo.

These networks have a weak-perspective camera [s, tx, ty] in a square crop. The body is as far from the photo's camera
as its size in the crop says, and as far aside as the crop lies from the principal point (Li et al. 2022, "CLIFF:
Carrying Location Information in Full Frames into Human Pose and Shape Estimation", section 3). Its rotations stay as
they are. Some networks are also told where the crop lies, and so estimate rotations in the photo's camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_index
from meshrec.body.state import BodyState
from meshrec.compiled.device import has_bfloat16
from meshrec.detect import Detection
from meshrec.fit import Initial
from meshrec.geometry import Camera
from meshrec.models.encoders import EncoderConfig, NetworkInput, normalize_rgb
from meshrec.models.estimate import Estimate
from meshrec.models.mirrored import mirror_averaged
from meshrec.models.network import Network
from meshrec.models.vit import ViT
from meshrec.regress.calibration import whitening
from meshrec.regress.regressor import LEAST_SCALE
from meshrec.regress.settings import RegressorSettings

BLUR_FROM = 1.1  # half of how many photo pixels one of the crop covers, from which the photo is blurred first
SPIN_ERROR = 59.2  # PA-MPJPE on 3DPW, millimetres (Kolotouros et al. 2019)
BLUR_REACH = 4.0  # standard deviations at which the Gaussian of that blur ends


@dataclass(frozen=True)
class FullFrame:
    """The crops of a family of networks, what they are told of them, and how far they are wrong.

    Attributes:
        aspect: Width over height to which a person's box is widened or heightened before the square is drawn around it.
            1 gives the same square as the box itself.
        margin: Side of the square, as a multiple of the longer side of that box.
        blur: Whether the photo is blurred before it is shrunk to the crop.
        box: What the network is told of the crop: nothing; its ``place``, the tangents of the angles from the optical
            axis to its centre, and its side over the focal length (CameraHMR); or the same numbers ``scaled`` to the
            spread that they have in CLIFF's training.
        settings: Uncertainty that is assumed for the family's estimates.
    """

    aspect: float = 192 / 256
    margin: float = 1.0
    blur: bool = False
    box: Literal["nothing", "place", "scaled"] = "nothing"
    settings: RegressorSettings = RegressorSettings()


def usual_settings(published: float) -> RegressorSettings:
    """Assumed uncertainty of a network of which only a published error is known.

    Joint errors after alignment grow in proportion to errors of the rotations: independent errors of 0.15 radians give
    half the PA-MPJPE of 0.3. The usual 0.3 radians are taken to be SPIN's, and others are scaled by their errors.

    Args:
        published: PA-MPJPE on 3DPW's test set, 14 joints, millimetres.

    Example:
        >>> from meshrec.regress.full_frame import usual_settings
        >>> round(usual_settings(29.6).usual_turn, 3)  # half of SPIN's error
        0.15
    """
    return RegressorSettings(usual_turn=RegressorSettings.usual_turn * published / SPIN_ERROR)


USUAL_ERRORS = {"hmr2": 54.5, "camera_hmr": 38.5, "cliff": 53.7}
"""PA-MPJPE of families, millimetres: on 3DPW's test set without training on 3DPW, of HMR2.0b, the usual download (Goel
et al. 2023), and of CameraHMR (Patel and Black 2025). CLIFF's 43 to 46 mm on 3DPW are after training on it, so of CLIFF
it is the error on AGORA's harder people that the name of its authors' file for AGORA gives."""

FAMILIES: dict[str, FullFrame] = {
    "hmr2": FullFrame(blur=True, settings=usual_settings(USUAL_ERRORS["hmr2"])),
    "camera_hmr": FullFrame(aspect=1.0, box="place", settings=usual_settings(USUAL_ERRORS["camera_hmr"])),
    "cliff": FullFrame(margin=1.1, box="scaled", settings=usual_settings(USUAL_ERRORS["cliff"])),
}
"""The families by the architecture of their networks (:data:`meshrec.models.build.ARCHITECTURES`)."""


class FullFrameRegressor:
    """A published network that estimates detected people: ``initial = regressor(image, detections, camera)``.

    Args:
        network: A network of pictures. It is moved to the device of ``trained``.
        trained: The body with which it was trained.
        family: Its crops.
        body: The body to estimate. Default: ``trained``. For another body the network estimates only the pose.
        covariance: (1, 72 + S, 72 + S) covariance of the network's errors. Default: the standard deviations of
            ``family.settings``.
        mirror: Whether to average the estimates of each crop and its mirror image.
        bfloat16: Whether the network's vision transformer, if it has one, computes in bfloat16. Default: on processors
            that have instructions for it, where it takes less time and memory.
    """

    sees_pictures = True

    def __init__(
        self,
        network: Network,
        trained: BodyModel,
        family: FullFrame,
        body: BodyModel | None = None,
        covariance: Tensor | None = None,
        mirror: bool = False,
        bfloat16: bool | None = None,
    ) -> None:
        self.device = trained.v_template.device
        if bfloat16 is None:
            bfloat16 = self.device.type == "cpu" and has_bfloat16()
        if bfloat16 and isinstance(backbone := getattr(network, "backbone", None), ViT):
            backbone.to(torch.bfloat16)
        self.network = network.eval().to(self.device)
        self.encoder: EncoderConfig = network.encoder.config
        self.family = family
        self.mirror = mirror
        body = trained if body is None else body
        self._num_betas = body.num_betas
        self._knows_shape = body.hash == trained.hash
        pelvis = joint_index("pelvis", "smpl24")
        self._pelves = [[torch.from_numpy(m[pelvis]) for m in b.data.joint_maps] for b in (trained, body)]
        self._whiten = whitening(covariance, body.num_betas, self._knows_shape, family.settings)

    def __call__(self, image: np.ndarray, detections: Sequence[Detection], camera: Camera) -> Initial:
        """Estimate everyone in a photo.

        Args:
            image: (H, W, 3) uint8 RGB.
            detections: N people in photo pixels.
            camera: The photo's camera, with a single focal length and centre.

        Returns:
            The N estimates and their uncertainty, in the form in which the fit starts from them.
        """
        squares = np.stack([square(person.box, self.family) for person in detections])
        crops = np.stack([crop(image, *_split(row), self.encoder.resolution, self.family.blur) for row in squares])
        places = torch.from_numpy(squares).float()
        inputs = NetworkInput(
            rgb=normalize_rgb(torch.from_numpy(crops).movedim(-1, 1) / 255),
            box=box_information(places, camera, self.family.box),
        )
        state = self.in_photo(self.estimate(inputs), places, camera)
        return Initial(state, self._whiten[:1].expand(len(state), -1, -1))

    @torch.no_grad()
    def estimate(self, inputs: NetworkInput) -> Estimate:
        """Run the network on N crops, which gives weak-perspective cameras; float32 on the CPU."""
        moved = inputs.to(self.device)
        if self.mirror:
            estimate = mirror_averaged(self.network, moved, self.encoder.joints)
        else:
            estimate = self.network(moved).final
        return Estimate(*(value.cpu() for value in vars(estimate).values()))

    def in_photo(self, estimate: Estimate, squares: Tensor, camera: Camera) -> BodyState:
        """Move estimates from their crops to the photo's camera.

        Args:
            estimate: Estimates of N people.
            squares: (N, 3) centres and sides of the crops, photo pixels.
            camera: The photo's camera.

        Returns:
            N bodies in the photo's camera space, metres.
        """
        translation = full_translation(estimate.camera.double(), squares.double(), camera)
        betas = estimate.betas.double()
        if not self._knows_shape:  # the pelvis stays where it is, since the other body turns about its own
            (mean, slopes), (other, _) = self._pelves
            translation = translation + mean + betas @ slopes.T - other
            betas = betas.new_zeros(len(betas), self._num_betas)
        return BodyState(estimate.rotations.double(), translation, betas)


def square(box: np.ndarray, family: FullFrame) -> np.ndarray:
    """The square of a family's crop around a person.

    Args:
        box: (4,) x0, y0, x1, y1 in photo pixels.
        family: The crops.

    Returns:
        (3,) x and y of its centre, and its side, float64, photo pixels.

    Example:
        >>> import numpy as np
        >>> from meshrec.regress.full_frame import FAMILIES, square
        >>> square(np.array([100.0, 100, 400, 300]), FAMILIES["hmr2"]).tolist()  # 300 wide, so 400 high
        [250.0, 200.0, 400.0]
    """
    low, high = np.asarray(box, np.float64).reshape(2, 2)
    width, height = high - low
    longer = max(width, height, width / family.aspect, height * family.aspect, 1.0)
    return np.array([*(low + high) / 2, family.margin * longer])


def crop(image: np.ndarray, center: np.ndarray, side: float, resolution: int, blur: bool) -> np.ndarray:
    """The photo in a square, black outside the photo.

    The square is placed as in the published code, where the centre of a box of W pixels is at W / 2, not (W - 1) / 2.

    Args:
        image: (H, W, 3) uint8 RGB.
        center: (2,) of the square, photo pixels.
        side: Its side, photo pixels.
        resolution: Side R of the crop.
        blur: Whether to blur the photo first if it is shrunk much, against aliasing.

    Returns:
        (R, R, 3) float32 from 0 to 255.
    """
    import cv2

    scale = resolution / side
    shift = resolution / 2 - scale * (center + 0.5)
    part, excess = image, side / resolution / 2
    if blur and excess > BLUR_FROM:
        deviation = (excess - 1) / 2
        reach = int(BLUR_REACH * deviation + 0.5)
        limit = np.array(image.shape[1::-1])
        # Only what the crop and the kernel reach is blurred.
        low = np.clip(np.floor(center - side / 2).astype(int) - reach - 1, 0, limit - 1)
        high = np.clip(np.ceil(center + side / 2).astype(int) + reach + 2, low + 1, limit)
        part = image[low[1] : high[1], low[0] : high[0]].astype(np.float32)
        kernel = (2 * reach + 1, 2 * reach + 1)
        part = cv2.GaussianBlur(part, kernel, deviation, borderType=cv2.BORDER_REPLICATE)
        shift = shift + scale * low
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return cv2.warpAffine(part, matrix, (resolution, resolution), flags=cv2.INTER_LINEAR).astype(np.float32)


def box_information(squares: Tensor, camera: Camera, form: Literal["nothing", "place", "scaled"]) -> Tensor | None:
    """What a network is told of where its crop lies.

    Args:
        squares: (N, 3) centres and sides of the crops, photo pixels.
        camera: The photo's camera.
        form: As in :class:`FullFrame`.

    Returns:
        (N, 3), or None for nothing.

    Example:
        >>> import torch
        >>> from meshrec.geometry import Camera
        >>> from meshrec.regress.full_frame import box_information
        >>> box_information(torch.tensor([[570.0, 240.0, 125.0]]), Camera(500.0, (320, 240), (640, 480)), "place")
        tensor([[0.5000, 0.0000, 0.2500]])
    """
    if form == "nothing":
        return None
    focal, principal = _pinhole(camera, squares)
    place = torch.cat([(squares[:, :2] - principal) / focal, squares[:, 2:] / focal], dim=1)
    if form == "place":
        return place
    # The factors are those of CLIFF's code: sides of 0.24 focal lengths, with a deviation of 0.06, are usual there.
    return torch.cat([2.8 * place[:, :2], (place[:, 2:] - 0.24) / 0.06], dim=1)


def full_translation(cameras: Tensor, squares: Tensor, camera: Camera) -> Tensor:
    """Translations in the photo's camera of bodies that weak-perspective cameras place in crops.

    Args:
        cameras: (N, 3) s, in half crop sides per metre, and tx, ty, metres.
        squares: (N, 3) centres and sides of the crops, photo pixels.
        camera: The photo's camera.

    Returns:
        (N, 3) metres.

    Example:
        >>> import torch
        >>> from meshrec.geometry import Camera
        >>> from meshrec.regress.full_frame import full_translation
        >>> camera = Camera(1000.0, (320, 240), (640, 480))
        >>> full_translation(torch.tensor([[1.0, 0.1, 0.0]]), torch.tensor([[420.0, 240.0, 200.0]]), camera)
        tensor([[ 1.1000,  0.0000, 10.0000]])
    """
    focal, principal = _pinhole(camera, squares)
    per_metre = squares[:, 2:] * cameras[:, :1].clamp(min=LEAST_SCALE) / 2  # photo pixels
    aside = cameras[:, 1:] + (squares[:, :2] - principal) / per_metre
    return torch.cat([aside, focal / per_metre], dim=1)


def _pinhole(camera: Camera, like: Tensor) -> tuple[Tensor, Tensor]:
    """Focal length (), the geometric mean of the two, and principal point (2,)."""
    focal, principal = (torch.as_tensor(value).to(like) for value in (camera.focal, camera.center))
    return focal.prod().sqrt(), principal


def _split(row: np.ndarray) -> tuple[np.ndarray, float]:
    return row[:2], float(row[2])
