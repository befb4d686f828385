"""Train the pose prior that ships with meshrec, and say how it explains poses that it has not seen.

It learns from the pose bank, from everyday poses, which the bank's dancers and fighters lack, and from authored ones.

Example:
    python tools/train_pose_prior.py meshrec/models/weights/pose_prior.safetensors
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from meshrec.body.joints import mirror_name
from meshrec.body.kinematics import mirror_pose
from meshrec.data.pose_bank import POSE_BANK, load_pose_bank
from meshrec.data.streams import Streams
from meshrec.data.synthetic.authored_poses import authored_poses
from meshrec.data.synthetic.everyday_poses import everyday_poses
from meshrec.data.synthetic.poses import perturbed
from meshrec.geometry import matrix_to_axis_angle, nearest_rotation
from meshrec.models.pose_prior import PRIOR_JOINTS, load_pose_prior
from meshrec.models.t_mixture import fit_t_mixture

# How well a recording knows a joint, radians; for collars and toes, which the bank hardly moves, what they may do.
NOISE = {"collar": 0.15, "foot": 0.15}
NOISE_ELSEWHERE = 0.05
PERTURBED = 20  # times that each authored pose is taken, a little different each time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="the .safetensors to write")
    parser.add_argument("--bank", type=Path, default=POSE_BANK, help="poses to learn from (default: the shipped bank)")
    parser.add_argument(
        "--components", type=int, default=12, help="before mirroring doubles them (default: %(default)s)"
    )
    parser.add_argument(
        "--freedom", type=int, default=10, help="degrees of freedom of the tails (default: %(default)s)"
    )
    parser.add_argument("--every", type=int, default=4, help="take every n-th frame (default: %(default)s)")
    arguments = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    noise = torch.tensor([NOISE.get(name.split("_")[-1], NOISE_ELSEWHERE) for name in PRIOR_JOINTS]).repeat_interleave(
        3
    )

    def motion(split: str) -> torch.Tensor:
        return load_pose_bank(split, arguments.bank).rotations(slice(None, None, arguments.every))

    def with_mirrored(rotations: torch.Tensor) -> torch.Tensor:
        return torch.cat([rotations, mirror_pose(rotations)])

    authored = authored_poses("train").repeat(PERTURBED, 1, 1, 1)
    authored = perturbed(authored, Streams(0, range(len(authored)), "pose prior"))
    train = with_mirrored(torch.cat([motion("train"), everyday_poses("train"), authored]))
    mean = nearest_rotation(with_mirrored(motion("train")).double().mean(0))
    center = nearest_rotation(mean + mirror_pose(mean))[1 : len(PRIOR_JOINTS) + 1]

    def noisy_coordinates(rotations: torch.Tensor) -> torch.Tensor:
        clean = matrix_to_axis_angle(center.mT @ rotations[:, 1 : len(PRIOR_JOINTS) + 1].double()).flatten(1)
        return clean + noise * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)

    mixture = fit_t_mixture(
        noisy_coordinates(train), arguments.components, arguments.freedom, generator, mirror_coordinates()
    )
    tensors = {
        "center": center,
        "log_weights": mixture.log_weights,
        "means": mixture.means,
        "scales": mixture.scales,
        "freedom": torch.tensor(arguments.freedom, dtype=torch.float32),
    }
    arguments.weights.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.float().contiguous() for name, tensor in tensors.items()}, arguments.weights)

    prior = load_pose_prior(arguments.weights)
    print(f"{len(mixture.means)} components, {arguments.weights.stat().st_size / 1e6:.2f} MB")
    for name, rotations in {
        "train": train,
        "held-out takes": motion("held_out"),
        "held-out everyday poses": everyday_poses("held_out"),
        "held-out authored poses": authored_poses("held_out"),
    }.items():
        poses = prior.body_pose(noisy_coordinates(rotations).float())
        print(f"log-density of noisy poses, {name}: {prior.log_density(poses).mean():.2f}")


def mirror_coordinates() -> torch.Tensor:
    """(63, 63) reflection of the prior's coordinates: sides exchanged, y and z of every axis-angle vector negated."""
    flip = torch.tensor([PRIOR_JOINTS.index(mirror_name(name)) for name in PRIOR_JOINTS])
    columns = torch.eye(3 * len(PRIOR_JOINTS), dtype=torch.float64).reshape(len(PRIOR_JOINTS), 3, -1)
    signs = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    return (columns[flip] * signs[:, None]).flatten(0, 1)


if __name__ == "__main__":
    main()
