"""Stand-ins for the checkpoints of HMR2.0 and CameraHMR at reduced size, and a photo for them."""

import numpy as np
import torch
from torch import Tensor

from helpers.published import linear_shapes, seeded, seeded_weights

# A picture of 128 x 96 pixels in a square of 128; three blocks of two heads; a decoder of two layers with two heads.
SIZES = {
    **{"resolution": 128, "tokens": 48, "size": 160, "blocks": 3, "mlp": 320},
    **{"width": 64, "depth": 2, "heads": 2, "hidden": 96},
}
SIZE = (640, 480)  # of the photo
FOCAL = 700.0
# The second is wide, and the third so large that HMR2.0 blurs the photo first; it reaches beyond the photo.
BOXES = np.array([[60.0, 90, 150, 310], [300, 200, 500, 330], [200, -40, 460, 500]], np.float32)


def hmr2_shapes(kind: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of ``"hmr2"`` or ``"camera_hmr"``."""
    size, width = SIZES["size"], SIZES["width"]
    shapes = {
        "backbone.pos_embed": (1, SIZES["tokens"] + 1, size),
        **{"backbone.patch_embed.proj.weight": (size, 3, 16, 16), "backbone.patch_embed.proj.bias": (size,)},
        **layer_norm_shapes("backbone.last_norm", size),
    }
    for i in range(SIZES["blocks"]):
        block = f"backbone.blocks.{i}"
        shapes |= layer_norm_shapes(f"{block}.norm1", size) | layer_norm_shapes(f"{block}.norm2", size)
        shapes |= linear_shapes(f"{block}.attn.qkv", size, 3 * size) | linear_shapes(f"{block}.attn.proj", size, size)
        shapes |= linear_shapes(f"{block}.mlp.fc1", size, SIZES["mlp"])
        shapes |= linear_shapes(f"{block}.mlp.fc2", SIZES["mlp"], size)
    head, inner = "smpl_head.transformer", 64 * SIZES["heads"]
    shapes |= linear_shapes(f"{head}.to_token_embedding", 1 if kind == "hmr2" else 160, width)
    shapes[f"{head}.pos_embedding"] = (1, 1, width)
    for i in range(SIZES["depth"]):
        for j in range(3):
            shapes |= layer_norm_shapes(f"{head}.transformer.layers.{i}.{j}.norm", width)
        own, other, last = (f"{head}.transformer.layers.{i}.{j}.fn" for j in range(3))
        shapes |= {f"{own}.to_qkv.weight": (3 * inner, width), f"{other}.to_kv.weight": (2 * inner, size)}
        shapes |= {f"{other}.to_q.weight": (inner, width)}
        shapes |= linear_shapes(f"{own}.to_out.0", inner, width) | linear_shapes(f"{other}.to_out.0", inner, width)
        shapes |= linear_shapes(f"{last}.net.0", width, SIZES["hidden"])
        shapes |= linear_shapes(f"{last}.net.3", SIZES["hidden"], width)
    outputs = {"decpose": 144, "decshape": 10, "deccam": 3} | ({"deckp": 88} if kind == "camera_hmr" else {})
    for name, count in outputs.items():
        shapes |= linear_shapes(f"smpl_head.{name}", width, count)
    means = {"init_body_pose": 144, "init_betas": 10, "init_cam": 3}
    return shapes | {f"smpl_head.{name}": (1, count) for name, count in means.items()}


def hmr2_weights(kind: str) -> dict[str, Tensor]:
    """Seeded weights of ``"hmr2"`` or ``"camera_hmr"``, with which everyone stands in front of the camera."""
    weights = seeded_weights(hmr2_shapes(kind))
    upright = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(1, 24)
    weights["smpl_head.init_body_pose"] = upright + 0.2 * weights["smpl_head.init_body_pose"]
    weights["smpl_head.init_cam"] = torch.tensor([[0.9, 0.05, -0.1]])
    for name in ("decpose", "deccam"):
        weights[f"smpl_head.{name}.weight"] *= 0.1
        weights[f"smpl_head.{name}.bias"] *= 0.1
    return weights


def seeded_photo() -> np.ndarray:
    """A photo (480, 640, 3) uint8 RGB of large coloured squares with noise."""
    squares = np.kron(seeded("photo", (12, 16, 3)), np.ones((40, 40, 1), np.float32))
    return np.clip(128 + 50 * squares + 10 * seeded("photo noise", (480, 640, 3)), 0, 255).astype(np.uint8)


def layer_norm_shapes(prefix: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}.weight": (size,), f"{prefix}.bias": (size,)}
