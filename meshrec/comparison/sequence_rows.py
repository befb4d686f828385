"""Methods that lift clips: with and without a memory, and corrected at test time."""

from collections.abc import Callable
from dataclasses import asdict, replace

import torch
from torch import Tensor

from meshrec.comparison.bench import JOINTS, Bench, Made, Row, Tables, kept_training
from meshrec.metrics import acceleration_error, mpjpe, pa_mpjpe
from meshrec.models.pose_machine import PoseMachine, projection_error
from meshrec.training.lifted_clips import LiftedClips, clips_to_lift
from meshrec.training.lifting import train_lifter

OTHER_SEED = 1000  # of the clips of held-out takes
CLIPS = 500
TITLE = "clips of held-out takes"


def pose_machine(label: str, temporal: bool) -> Callable[[Bench, str], Made]:
    """A network that lifts clips. Its weights are kept as NAME.safetensors, and not trained again.

    The table of all methods has its errors on single frames; those on clips have a table of their own.

    Args:
        label: What that table calls it.
        temporal: Whether it has a memory.
    """

    def train(bench: Bench, name: str) -> Made:
        config = replace(bench.config.pose_machine, temporal=temporal)
        clips = bench.config.clips
        training = replace(bench.config.training, batch_size=clips.batch_size, steps=clips.steps)
        network, seconds = kept_training(
            bench.out / f"{name}.safetensors",
            PoseMachine(config),
            {"training": asdict(training), "clips": asdict(clips), "network": asdict(config)},
            lambda: train_lifter(lambda: PoseMachine(config), bench.clips, training),
        )
        made = bench.lifted(network, network.count_weights(), seconds)
        made.more.update(_on_clips(label, network, bench))
        return made

    return train


def _on_clips(label: str, network: PoseMachine, bench: Bench) -> Tables:
    config = bench.config.clips
    clips = clips_to_lift(bench.body, replace(config, clips=CLIPS, seed=config.seed + OTHER_SEED), split="held_out")
    with torch.no_grad():
        plain = network(clips.keypoints)
    lines = {label: plain, f"{label}, corrected": network.corrected(clips.keypoints)}
    return {TITLE: {line: clip_errors(points, clips, network) for line, points in lines.items()}}


@torch.no_grad()
def clip_errors(points: Tensor, clips: LiftedClips, network: PoseMachine) -> dict[str, str]:
    """The errors of lifted clips, as cells of a table.

    Args:
        points: (N, T, K, 3) joints relative to the root, metres.
        clips: The N clips.
        network: The network, whose projector is used.
    """
    standard = (points - network.mean) / network.deviation
    projected = projection_error(network.projected(standard), clips.keypoints).mean().sqrt()
    return {
        "PA-MPJPE": f"{pa_mpjpe(points, clips.joints):.1f}",
        "MPJPE": f"{mpjpe(points, clips.joints, joints=JOINTS):.1f}",
        "PA-MPJPE, first frame": f"{pa_mpjpe(points[:, 0], clips.joints[:, 0]):.1f}",
        "PA-MPJPE, last frame": f"{pa_mpjpe(points[:, -1], clips.joints[:, -1]):.1f}",
        "acceleration, mm per frame squared": f"{acceleration_error(points, clips.joints, joints=JOINTS):.1f}",
        "projection, % of the pose's size": f"{100 * projected:.1f}",
    }


SEQUENCE_ROWS = {
    "pose_machine_frame": Row(
        "3D Pose Machine (Wang 2019) without LSTM, trained on clips", "3D", pose_machine("each frame by itself", False)
    ),
    "pose_machine": Row("- with LSTM, a single frame", "3D", pose_machine("LSTM", True)),
}
