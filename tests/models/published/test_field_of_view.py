"""The network for fields of view: the same weights and photos give what CameraHMR's code gives."""

import numpy as np
import pytest
import torch
from helpers.published import close, linear_shapes, seeded, seeded_weights, stored
from torch import Tensor

from meshrec.errors import InputError
from meshrec.models.field_of_view import FieldOfViewConfig, FieldOfViewNetwork, load_field_of_view
from meshrec.models.hrnet import HRNetConfig
from meshrec.models.published import import_checkpoint
from meshrec.regress.focal_lengths import letterboxed, load_focal_network

SMALL = FieldOfViewConfig(HRNetConfig(width=8, stem_blocks=4, modules=(1, 2, 1), blocks=2))
PHOTOS = {"wide": (300, 427), "tall": (640, 361), "small": (90, 120)}


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Weights by the authors' names."""
    own = {key: tuple(value.shape) for key, value in FieldOfViewNetwork(SMALL).state_dict().items()}
    renamed = (("reduce.0", "backbone.downsample_stage_1"), ("reduce.1", "backbone.downsample_stage_2"))
    renamed += (("reduce.2", "backbone.downsample_stage_3"), ("hidden", "fc1"), ("output", "fc3"))
    shapes = {}
    for key, shape in own.items():
        for ours, theirs in renamed:
            key = theirs + key.removeprefix(ours) if key.startswith(f"{ours}.") else key
        shapes[key] = shape
    weights = seeded_weights(shapes | linear_shapes("fc2", 1024, 1024))
    weights["fc3.weight"] *= 0.1
    weights["fc3.bias"] = torch.tensor([0.4, 1.5])
    return weights


def photo(name: str) -> np.ndarray:
    height, width = PHOTOS[name]
    squares = np.kron(seeded(name, (height // 10 + 1, width // 10 + 1, 3)), np.ones((10, 10, 1)))
    return np.clip(128 + 50 * squares[:height, :width], 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fov")
    torch.save({"state_dict": weights, "epoch": 3}, folder / "cam_model.ckpt")
    made = import_checkpoint(folder / "cam_model.ckpt", folder / "fov.safetensors")
    assert made.architecture == "field_of_view" and made.body_hash == ""
    return made.path


@pytest.mark.parametrize("name", PHOTOS)
def test_views_and_focal_lengths_equal_the_authors_code(file, name):
    expected, image = stored("field_of_view"), photo(name)
    with torch.no_grad():
        views = load_field_of_view(file)(letterboxed(image))
    assert close(views, expected[f"{name}_views"])
    assert load_focal_network(file)(image) == pytest.approx(expected[f"{name}_focal"].item(), rel=1e-4)


def test_half_precision_is_kept_in_the_file(weights, file, tmp_path):
    half = {f"module.{key}": value.half() if value.is_floating_point() else value for key, value in weights.items()}
    torch.save({"state_dict": half}, tmp_path / "half.ckpt")
    import_checkpoint(tmp_path / "half.ckpt", tmp_path / "half.safetensors")
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * file.stat().st_size
    assert load_focal_network(tmp_path / "half.safetensors")(photo("wide")) == pytest.approx(
        load_focal_network(file)(photo("wide")), rel=0.01
    )


def test_weights_that_do_not_fit_are_refused(weights, file, tmp_path):
    for changed, sentence in (
        ({**weights, "fc1.weight": torch.zeros(1024, 7)}, "wrong shapes: fc1.weight"),
        ({key: value for key, value in weights.items() if key != "fc1.weight"}, "missing keys: 'fc1.weight'"),
        ({**weights, "more": torch.zeros(1)}, "unknown keys: more"),
    ):
        torch.save(changed, tmp_path / "wrong.ckpt")
        with pytest.raises(InputError, match=sentence):
            import_checkpoint(tmp_path / "wrong.ckpt", tmp_path / "wrong.safetensors")


def test_only_a_network_for_fields_of_view_is_loaded(file, tmp_path):
    from meshrec.models.build import build_network
    from meshrec.models.checkpoints import save_checkpoint
    from meshrec.regress import load_regressor

    small = {"encoder": {"inputs": ("keypoints",), "width": 8}, "width": 8}
    other = save_checkpoint(tmp_path / "other.safetensors", build_network("iterative", small), "hash")
    with pytest.raises(InputError, match="holds no network for fields of view, but 'iterative'"):
        load_field_of_view(other)
    with pytest.raises(InputError, match="estimates fields of view, not bodies"):
        load_regressor(file)
