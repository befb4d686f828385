"""HMR2.0 and CameraHMR: the same weights and photo give what the authors' own code gives, and sizes are the file's."""

import numpy as np
import pytest
import torch
from helpers.hmr2 import BOXES, FOCAL, SIZE, SIZES, hmr2_weights, seeded_photo
from helpers.published import close, stored

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyModel
from meshrec.body.files import body_from_arrays
from meshrec.detect import Detection
from meshrec.errors import InputError
from meshrec.geometry import Camera
from meshrec.models.checkpoints import load_checkpoint
from meshrec.models.encoders import NetworkInput
from meshrec.models.mirrored import mirror_averaged, mirror_input
from meshrec.models.published import import_checkpoint
from meshrec.regress.full_frame import FAMILIES, FullFrameRegressor, crop, square
from meshrec.regress.weights import load_regressor

CAMERA = Camera(FOCAL, size=SIZE)
KINDS = ("hmr2", "camera_hmr")


@pytest.fixture(scope="module")
def smpl() -> BodyModel:
    """A body of SMPL's sizes."""
    return BodyModel(body_from_arrays(random_arrays(6890), "random"))


@pytest.fixture(scope="module")
def written(smpl, tmp_path_factory) -> dict:
    """Converted checkpoints, as Lightning stores them."""
    files = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        others = {"smpl.faces": torch.zeros(3, 3), "discriminator.w": torch.ones(2), "initialized": torch.tensor(True)}
        torch.save({"state_dict": hmr2_weights(kind) | others, "epoch": 3}, folder / "last.ckpt")
        files[kind] = folder / f"{kind}.safetensors"
        assert import_checkpoint(folder / "last.ckpt", files[kind], smpl).architecture == kind
    return files


def people() -> list[Detection]:
    """The people in the boxes. The authors' pixels have their centres at halves."""
    nobody = np.zeros((17, 3), np.float32)
    return [Detection(box - 0.5, nobody, "coco17", 1.0) for box in BOXES]


@pytest.mark.parametrize("kind", KINDS)
def test_photos_give_what_the_authors_code_gives(written, smpl, kind):
    expected = stored(kind)
    squares = [square(person.box, FAMILIES[kind]) for person in people()]
    assert np.allclose([side for *_, side in squares], expected["side"], atol=1e-4)
    blur = FAMILIES[kind].blur
    crops = [crop(seeded_photo(), row[:2], row[2], SIZES["resolution"], blur) for row in squares]
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    seen = ((torch.tensor(np.stack(crops)) / 255 - mean) / deviation).movedim(-1, 1)[:, :, ::8, ::8]
    assert close(seen, expected["rgb"])

    network = load_checkpoint(written[kind], smpl).network
    regressor = FullFrameRegressor(network, smpl, FAMILIES[kind], bfloat16=False)
    state = regressor(seeded_photo(), people(), CAMERA).state
    assert close(state.rotations.float(), expected["rotations"])
    assert close(state.betas.float(), expected["betas"])
    assert close(state.translation.float(), expected["translation"])
    parts = (state.betas, state.rotations[:, 1:], state.rotations[:, 0], state.translation)
    vertices = smpl(*(part.float() for part in parts)).vertices
    assert close(vertices[:, ::50], expected["vertices"])
    assert float(expected["vertices"].std(0).min()) > 0.01  # people differ by far more than the tolerance


def test_bfloat16_changes_little(written, smpl):
    found = []
    for narrow in (False, True):
        network = load_checkpoint(written["hmr2"], smpl).network
        regressor = FullFrameRegressor(network, smpl, FAMILIES["hmr2"], bfloat16=narrow)
        found.append(regressor(seeded_photo(), people(), CAMERA).state.rotations)
    assert 0 < float((found[0] - found[1]).abs().max()) < 0.05


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "model._orig_mod."])
def test_prefixes_go_and_types_stay(smpl, tmp_path, dtype, prefix):
    from safetensors.torch import load_file

    weights = {prefix + key: value.to(dtype) for key, value in hmr2_weights("camera_hmr").items()}
    torch.save({"state_dict": weights}, tmp_path / "half.ckpt")
    made = import_checkpoint(tmp_path / "half.ckpt", tmp_path / "half.safetensors", smpl)
    assert made.kind == "CameraHMR"
    tensors = load_file(tmp_path / "half.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {dtype}
    key = "backbone.blocks.1.mlp.fc1.weight"
    assert torch.equal(tensors[key], weights[prefix + key])
    network = load_checkpoint(tmp_path / "half.safetensors", smpl).network
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    assert not any("deckp" in key for key in tensors)


def test_weights_that_do_not_fit_are_named(smpl, tmp_path):
    def message(weights: dict) -> str:
        torch.save({"state_dict": weights}, tmp_path / "bad.ckpt")
        with pytest.raises(InputError) as caught:
            import_checkpoint(tmp_path / "bad.ckpt", tmp_path / "bad.safetensors", smpl)
        assert not (tmp_path / "bad.safetensors").exists()
        return str(caught.value)

    weights = hmr2_weights("hmr2")
    lacking = {key: value for key, value in weights.items() if key != "backbone.blocks.1.norm1.bias"}
    assert message(lacking).endswith("missing keys: backbone.blocks.1.norm1.bias")
    lacking = {key: value for key, value in weights.items() if key != "backbone.blocks.0.mlp.fc1.weight"}
    assert message(lacking).endswith("missing keys: backbone.blocks.0.mlp.fc1.weight")
    assert "47 tokens are no picture of 4 to 3" in message(
        weights | {"backbone.pos_embed": torch.zeros(1, 48, SIZES["size"])}
    )
    narrow = weights | {"smpl_head.decpose.weight": torch.zeros(138, 64)}
    assert "smpl_head.decpose.weight is 138 x 64 where 144 x 64 is needed" in message(narrow)


def test_mirror_images_give_mirrored_people(written, smpl):
    network = load_checkpoint(written["camera_hmr"], smpl).network
    random = torch.Generator().manual_seed(0)
    rgb = torch.randn(2, 3, 128, 128, generator=random)
    inputs = NetworkInput(rgb=rgb, box=torch.tensor([[0.2, 0.1, 0.3], [-0.3, 0.0, 0.5]]))
    with torch.no_grad():
        one = mirror_averaged(network, inputs, "coco17")
        other = mirror_averaged(network, mirror_input(inputs, "coco17"), "coco17")
    assert torch.allclose(one.camera * torch.tensor([1, -1, 1]), other.camera, atol=1e-5)
    assert torch.allclose(one.betas, other.betas, atol=1e-5)


def test_a_file_is_a_regressor_of_its_family(written, smpl):
    regressor = load_regressor(written["camera_hmr"], smpl)
    assert isinstance(regressor, FullFrameRegressor) and regressor.family.box == "place" and not regressor.mirror
