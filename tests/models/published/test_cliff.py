"""CLIFF: the same weights, pictures and boxes give what the authors' code gives."""

import numpy as np
import pytest
import torch
from helpers.published import close, linear_shapes, seeded_images, seeded_weights, stored
from torch import Tensor

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyModel
from meshrec.body.files import body_from_arrays
from meshrec.errors import InputError
from meshrec.geometry import Camera
from meshrec.models.checkpoints import load_checkpoint
from meshrec.models.encoders import NetworkInput, normalize_rgb
from meshrec.models.hrnet import HRNetConfig, HRNetFeatures
from meshrec.models.published import import_checkpoint
from meshrec.models.resnet import ResNet
from meshrec.regress.full_frame import FAMILIES, box_information, crop, full_translation, square

SIZE = (640, 480)
CAMERA = Camera(float(np.hypot(*SIZE)), (SIZE[0] / 2, SIZE[1] / 2), SIZE)  # as the authors' demo assumes
SMALL = HRNetConfig(width=8, stem_blocks=2, modules=(1, 2, 1), blocks=2)
BACKBONES = {"resnet": ResNet(50), "hrnet": HRNetFeatures(SMALL)}


def cliff_weights(name: str) -> dict[str, Tensor]:
    """Weights by the authors' names."""
    shapes = {f"encoder.{key}": tuple(value.shape) for key, value in BACKBONES[name].state_dict().items()}
    shapes |= linear_shapes("fc1", 2048 + 3 + 144 + 13, 1024) | linear_shapes("fc2", 1024, 1024)
    for part, size in (("pose", 144), ("shape", 10), ("cam", 3)):
        shapes |= linear_shapes(f"dec{part}", 1024, size) | {f"init_{part}": (1, size)}
    weights = seeded_weights(shapes)
    small = 0.05 if name == "resnet" else 0.005  # so that bodies are in front of the camera
    weights = {k: small * value if k.startswith(("dec", "init_shape")) else value for k, value in weights.items()}
    weights["init_cam"] = torch.tensor([[0.9, 0.02, 0.05]])
    weights["init_pose"] = torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat(1, 24) + 0.2 * weights["init_pose"]
    return weights


@pytest.fixture(scope="module")
def smpl() -> BodyModel:
    """A body of SMPL's sizes."""
    return BodyModel(body_from_arrays(random_arrays(6890), "random"))


@pytest.fixture(scope="module")
def squares() -> Tensor:
    boxes = stored("cliff")["boxes"].numpy()
    return torch.from_numpy(np.stack([square(box, FAMILIES["cliff"]) for box in boxes]))


def test_crops_and_what_is_told_of_them_equal_the_authors_code(squares):
    expected = stored("cliff")
    assert close(squares[:, :2].float(), expected["center"])
    assert close(squares[:, 2].float(), expected["side"])
    assert close(box_information(squares.float(), CAMERA, "scaled"), expected["box_info"])
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    photo = np.stack([x / SIZE[0] * 255, y / SIZE[1] * 255, (np.sin(x / 40) * np.cos(y / 30) + 1) * 127], -1)
    photo = photo.round().astype(np.uint8)
    crops = np.stack([crop(photo, row[:2], float(row[2]), 256, False) for row in squares.numpy()])
    pictures = normalize_rgb(torch.from_numpy(crops).movedim(-1, 1) / 255)[..., 32:-32]
    # The authors cut the photo at whole pixels, by which their crops are up to half a pixel aside.
    inside = expected["crops"].abs() < 3
    difference = (pictures[..., 4::8, 4::8] - expected["crops"]).abs()[inside]
    assert difference.quantile(0.99) < 0.06


@pytest.mark.parametrize("name", BACKBONES)
def test_bodies_equal_the_authors_code(name, smpl, squares, tmp_path):
    content = {"model": {f"module.{key}": value for key, value in cliff_weights(name).items()}, "epoch": 3}
    torch.save(content, tmp_path / "cliff.pt")
    made = import_checkpoint(tmp_path / "cliff.pt", tmp_path / "cliff.safetensors", smpl)
    assert (made.kind, made.architecture) == ("CLIFF", "cliff")
    network = load_checkpoint(tmp_path / "cliff.safetensors", smpl).network
    # The authors' network saw the middle of these pictures, without the columns at the sides.
    pictures = torch.nn.functional.pad(seeded_images(2), (16, 16, 0, 32))
    box = box_information(squares.float(), CAMERA, "scaled")
    with torch.no_grad():
        estimate = network(NetworkInput(rgb=pictures, box=box)).final
        translation = full_translation(estimate.camera.double(), squares, CAMERA).float()
        vertices = smpl(estimate.betas, estimate.rotations[:, 1:], estimate.rotations[:, :1], translation).vertices
    expected = stored("cliff")
    assert close(estimate.rotations, expected[f"{name}_rotations"])
    assert close(estimate.betas, expected[f"{name}_betas"])
    assert close(estimate.camera, expected[f"{name}_camera"])
    assert close(translation, expected[f"{name}_translation"])
    assert close(vertices[:, ::10], expected[f"{name}_vertices"])


def test_weights_that_do_not_fit_are_refused(smpl, tmp_path):
    weights = cliff_weights("hrnet")
    for changed, sentence in (
        ({**weights, "fc1.weight": torch.zeros(1024, 2205)}, "fc1.weight is 1024 x 2205 where 1024 x 2208 is needed"),
        ({key: value for key, value in weights.items() if key != "fc2.weight"}, "missing keys: 'fc2.weight'"),
        ({key: value for key, value in weights.items() if key != "init_cam"}, "missing keys: init_cam"),
    ):
        torch.save({"model": changed}, tmp_path / "wrong.pt")
        with pytest.raises(InputError, match=sentence):
            import_checkpoint(tmp_path / "wrong.pt", tmp_path / "wrong.safetensors", smpl)
