"""3D joints of a whole clip from its 2D joints by an LSTM, corrected at test time by a learned projection back to 2D.

Source: Wang, Lin, Jiang, Qian and Wei 2019, "3D Human Pose Machines with Self-supervised Learning". Features of each
frame go through layers that adapt them and an LSTM (Hochreiter and Schmidhuber 1997), from whose state a linear layer
makes 3D joints; a second network, the projector, makes 2D joints of 3D joints. Both are trained together. For a clip of
which nothing but the 2D joints is known, the 3D part is then trained further for some steps ("self-correction"), so
that the projections of its 3D joints come closer to the 2D joints::

    min over W, b of sum over t, k of c_tk |projector(W h_t + b)_k - x_tk|^2,   starting at the trained W and b

where h_t is the LSTM's state in frame t, x are the 2D joints and c their confidences.

Departures: the paper's features are those of a network that sees pictures, 128 x 46 x 46 in each frame; here they are
the detector's 2D joints and confidences. Only the last layer is corrected, for each clip its own, and the projector
stays as it was trained. The projector's 2D joints are relative to their mean, and their root mean square is one, since
a pose relative to its root does not say where in the crop it is and how large. ``temporal=False`` has a linear layer of
the same width in place of the LSTM, and lifts each frame by itself.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.models.checks import LARGEST
from meshrec.models.residual_layers import ResidualLayers
from meshrec.models.standardised import Standardised

TINY = 1e-6


@dataclass(frozen=True)
class PoseMachineConfig:
    """Settings of the network.

    Attributes:
        joints: name of the joint set that is seen and lifted.
        width: units in each layer, and numbers of the LSTM's state.
        blocks: number of residual blocks before the LSTM.
        temporal: whether there is an LSTM; else each frame is lifted by itself.
        projection: weight of the projector's error in the loss.
        corrections: steps of the correction at test time.
        rate: length of these steps.
    """

    joints: str = "h36m17"
    width: int = 1024
    blocks: int = 2
    temporal: bool = True
    projection: float = 1.0
    corrections: int = 20
    rate: float = 0.03

    def __post_init__(self) -> None:
        joint_set(self.joints)
        if not (1 <= self.width <= LARGEST and 0 <= self.blocks <= 64):
            raise InputError(f"a width of 1 to {LARGEST} and 0 to 64 blocks are needed: {self}")
        if self.projection < 0 or self.corrections < 0 or self.rate <= 0:
            raise InputError(f"weights and steps of at least 0 and a rate above 0 are needed: {self}")


class PoseMachine(Standardised):
    """The network. Keypoints may be of people (B, K, 3), as clips of one frame, or of clips (B, T, K, 3).

    Args:
        config: its settings.

    Example:
        >>> import torch
        >>> from meshrec.models.pose_machine import PoseMachine, PoseMachineConfig
        >>> machine = PoseMachine(PoseMachineConfig(width=32)).eval()
        >>> clip = torch.rand(2, 5, 17, 3)
        >>> machine(clip).shape, machine.corrected(clip).shape
        (torch.Size([2, 5, 17, 3]), torch.Size([2, 5, 17, 3]))
    """

    config: PoseMachineConfig

    def __init__(self, config: PoseMachineConfig | None = None) -> None:
        self.config = config = config or PoseMachineConfig()
        count = len(joint_set(config.joints))
        super().__init__(count)
        self.adapt = ResidualLayers(3 * count, config.width, config.width, config.blocks)
        size = (config.width, config.width)
        self.memory: nn.Module = nn.LSTM(*size, batch_first=True) if config.temporal else nn.Linear(*size)
        self.leave = nn.Linear(config.width, 3 * count)
        self.projector = ResidualLayers(3 * count, 2 * count, config.width, 1)

    def standardise(self, keypoints: Tensor, joints: Tensor) -> None:
        """Take means and standard deviations of training data, people (N, K, 3) or clips (N, T, K, 3)."""
        super().standardise(*(values.reshape(-1, *values.shape[-2:]) for values in (keypoints, joints)))

    def states(self, keypoints: Tensor) -> Tensor:
        """States (B, T, width) of the memory for keypoints (B, T, K, 3)."""
        seen = ((keypoints - self.seen_mean) / self.seen_deviation).flatten(2)
        adapted = relu(self.adapt(seen.flatten(0, 1))).unflatten(0, seen.shape[:2])
        if isinstance(self.memory, nn.LSTM):
            return self.memory(adapted)[0]
        return relu(self.memory(adapted))

    def projected(self, standard: Tensor) -> Tensor:
        """Places (..., K, 2) relative to their mean and size, for standardised 3D joints (..., K, 3)."""
        found = self.projector(standard.reshape(-1, standard.shape[-2] * 3))
        return found.unflatten(1, (-1, 2)).unflatten(0, standard.shape[:-2])

    def loss(self, keypoints: Tensor, joints: Tensor) -> Tensor:
        """The error of the 3D joints, and that of the projector at the true ones.

        Args:
            keypoints: (B, T, K, 3) or (B, K, 3) as for a call.
            joints: true positions relative to the root, of the same shape, metres.
        """
        wanted = (joints - self.mean) / self.deviation
        projection = projection_error(self.projected(wanted), keypoints)
        return super().loss(keypoints, joints) + self.config.projection * projection.mean()

    def forward(self, keypoints: Tensor) -> Tensor:
        """Lift clips, without the correction.

        Args:
            keypoints: (B, T, K, 3), or (B, K, 3) for single frames: x and y in the crop, and confidence.

        Returns:
            Positions relative to the root, of the same shape, metres.
        """
        clips = keypoints if keypoints.dim() == 4 else keypoints[:, None]
        found = self.mean + self.deviation * self.leave(self.states(clips)).unflatten(-1, (-1, 3))
        return found.reshape(keypoints.shape)

    def corrected(self, keypoints: Tensor) -> Tensor:
        """Lift clips, each with a last layer that was corrected by its 2D joints.

        Args:
            keypoints: As for a call.

        Returns:
            As a call.
        """
        clips = keypoints if keypoints.dim() == 4 else keypoints[:, None]
        with torch.no_grad():
            states = self.states(clips)
        count = len(clips)
        weight = self.leave.weight.detach().repeat(count, 1, 1)
        bias = self.leave.bias.detach().repeat(count, 1, 1)

        def lifted() -> Tensor:
            return (states @ weight.mT + bias).unflatten(-1, (-1, 3))

        for _ in range(self.config.corrections):
            with torch.enable_grad():
                weight.requires_grad_()
                bias.requires_grad_()
                error = projection_error(self.projected(lifted()), clips)
                # Clips have nothing in common here: the sum's gradient is each clip's own.
                slopes = torch.autograd.grad(error.mean(1).sum(), (weight, bias))
            weight, bias = (value.detach() - self.config.rate * slope for value, slope in zip((weight, bias), slopes))
        with torch.no_grad():
            return (self.mean + self.deviation * lifted()).reshape(keypoints.shape)


def relative_places(places: Tensor, weight: Tensor) -> Tensor:
    """Places (..., K, 2) relative to their weighted mean, and over their weighted root mean square.

    Args:
        places: (..., K, 2).
        weight: (..., K) at least 0.

    Example:
        >>> import torch
        >>> from meshrec.models.pose_machine import relative_places
        >>> relative_places(torch.tensor([[1.0, 5.0], [3.0, 5.0]]), torch.ones(2)).round().tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """
    share = (weight / weight.sum(-1, keepdim=True).clamp(min=TINY))[..., None]
    moved = places - (share * places).sum(-2, keepdim=True)
    size = (share * moved.square()).sum((-2, -1), keepdim=True).sqrt()
    return moved / size.clamp(min=TINY)


def projection_error(projected: Tensor, keypoints: Tensor) -> Tensor:
    """Mean squared error of projected joints, weighted by the detector's confidence.

    Args:
        projected: (..., K, 2) places, to be compared as :func:`relative_places`.
        keypoints: (..., K, 3) x and y, and confidence.

    Returns:
        (...).
    """
    weight = keypoints[..., 2]
    wanted = relative_places(keypoints[..., :2], weight)
    errors = (relative_places(projected, weight) - wanted).square().sum(-1)
    return (weight * errors).sum(-1) / weight.sum(-1).clamp(min=TINY)
