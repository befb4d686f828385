"""SPIN and HMR-PyTorch (Kolotouros et al. 2019, "Learning to Reconstruct 3D Human Pose and Shape via Model-fitting in
the Loop"), and HMR and SPIN as trained with MMHuman3D, which have the same network with other names of the weights.
"""

import torch

from meshrec.body import NUM_BETAS, NUM_JOINTS
from meshrec.models.build import build_network
from meshrec.models.published.kinds import Converted, Source
from meshrec.models.published.reading import checked

WIDTH = 1024  # units in each of SPIN's fully connected layers
# SPIN stores the first two columns of a rotation row by row; here they are stored one column after the other.
_COLUMNS = torch.tensor([0, 2, 4, 1, 3, 5])
POSE_ORDER = (6 * torch.arange(NUM_JOINTS)[:, None] + _COLUMNS).flatten()
# Names of the fully connected layers in SPIN and here.
_LAYERS = (("fc1", "embed"), ("fc2", "head.2"))
# Sizes of the parts of the state by SPIN's names. Their order is the same in SPIN and here.
_PARTS = {"pose": 6 * NUM_JOINTS, "shape": NUM_BETAS, "cam": 3}


def is_spin(weights: dict) -> bool:
    """Whether weights are those of SPIN or HMR, or of their versions in MMHuman3D."""
    return "decpose.weight" in weights or "head.decpose.weight" in weights


def convert_spin(source: Source) -> Converted:
    """Make an iterative regressor of the weights of SPIN or HMR, or of their versions in MMHuman3D.

    Raises:
        InputError: The weights do not fit.
    """
    state = source.weights
    if any(key.startswith("head.") for key in state):  # MMHuman3D, whose files also hold body models and a critic
        parts = (key.partition(".") for key in state if key.startswith(("backbone.", "head.")))
        state = {rest: state[f"{part}.{rest}"] for part, _, rest in parts}
    state = {key: value for key, value in state.items() if not key.startswith("fc.")}
    settings = {"activation": False, "width": WIDTH, "num_betas": NUM_BETAS}
    network = build_network("iterative", settings)
    ours = network.state_dict()
    same = {key.removeprefix("encoder.backbone."): key for key in ours if key.startswith("encoder.")}
    same |= {f"{theirs}.{kind}": f"{own}.{kind}" for theirs, own in _LAYERS for kind in ("weight", "bias")}
    expected = {theirs: tuple(ours[own].shape) for theirs, own in same.items()}
    for name, size in _PARTS.items():
        weight = (size, WIDTH)
        expected |= {f"dec{name}.weight": weight, f"dec{name}.bias": (size,), f"init_{name}": (1, size)}
    state = checked(state, expected, source.path)

    converted = {own: state[theirs] for theirs, own in same.items()}
    columns = torch.arange(state["fc1.weight"].shape[1])
    start = network.encoder.features
    columns[start : start + len(POSE_ORDER)] = start + POSE_ORDER
    converted["embed.weight"] = state["fc1.weight"][:, columns]
    joined = (("update.weight", "dec{}.weight", 0), ("update.bias", "dec{}.bias", 0), ("mean", "init_{}", 1))
    for own, theirs, axis in joined:
        pose, *others = (state[theirs.format(name)] for name in _PARTS)
        converted[own] = torch.cat([pose.index_select(axis, POSE_ORDER), *others], axis)
    return Converted("iterative", settings, converted)
