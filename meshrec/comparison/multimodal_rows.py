"""Autoencoders of several modalities: poses from 2D joints, from masks and from both, and each made from the others."""

from collections.abc import Callable
from dataclasses import asdict, replace

import torch
from torch import Tensor

from meshrec.comparison.bench import GROUPS, Bench, Made, Row, Tables, kept_training
from meshrec.evaluation.lifting import joint_errors
from meshrec.models.multimodal_vae import MultimodalVae, Seen
from meshrec.training.masked import train_multimodal

FEWER_STEPS = 2  # each step draws a z from each of three encoders, so that half of the steps take about as long
MADE = "made from, usual / hard"


def multimodal(mixture: bool = True, masks: bool = False, product: bool = False) -> Callable[[Bench, str], Made]:
    """Poses from 2D joints, with or without a mask.

    Rows of the same loss share their weights, which are kept as multimodal.safetensors or multimodal_cross.safetensors.

    Args:
        mixture: Whether the loss has the mixture of experts.
        masks: Whether the mask is seen too.
        product: Whether both are combined by the product of their Gaussians.
    """

    def train(bench: Bench, name: str) -> Made:
        config = replace(bench.config.multimodal, mixture=mixture)
        training = replace(bench.config.training, steps=-(-bench.config.training.steps // FEWER_STEPS))
        network, seconds = kept_training(
            bench.out / f"{'multimodal' if mixture else 'multimodal_cross'}.safetensors",
            MultimodalVae(config),
            {"training": asdict(training), "network": asdict(config)},
            lambda: train_multimodal(config, bench.masked, training),
        )
        if not masks:
            made = bench.lifted(network, network.count_weights(), seconds)
            made.more.update(_generated(network, bench))
            return made
        people = bench.measured_masks
        with torch.no_grad():
            points = network.lifted(network.seen(people.keypoints, people.mask), product)
            one = network.seen(people.keypoints[:1], people.mask[:1] if people.mask is not None else None)
        errors = joint_errors(points, people, bench.body)
        photos = bench.on_photos(lambda of: network.lifted(network.seen(of.keypoints, of.mask), product))
        return Made(errors, lambda: network.lifted(one, product), network.count_weights(), seconds / 60, photos=photos)

    return train


@torch.no_grad()
def _generated(network: MultimodalVae, bench: Bench) -> Tables:
    """The errors of each modality as it is made from one or several."""
    people = bench.measured_masks
    whole = network.seen(people.keypoints, people.mask, people.true[..., :3])
    sources = {
        "2D": Seen(keypoints=whole.keypoints, found=whole.found),
        "mask": Seen(mask=whole.mask),
        "3D": Seen(joints=whole.joints),
        "2D and mask": Seen(keypoints=whole.keypoints, mask=whole.mask, found=whole.found),
        "all three": whole,
    }
    lines = {}
    loss = "mixture" if network.config.mixture else "cross-modal"
    assert people.mask is not None
    for source, seen in sources.items():
        for product in (False, True) if len(network.encode(seen)) > 1 else (False,):
            points = network.lifted(seen, product)
            places = network.generated("keypoints", seen, product)
            found = people.keypoints[..., 2] > 0
            distance = (places - people.keypoints[..., :2]).norm(dim=-1)
            overlap = overlaps(network.generated("mask", seen, product) > 0.5, people.mask)
            values = {
                "3D, PA-MPJPE": torch.from_numpy(joint_errors(points, people)["pa_mpjpe"]),
                "2D, hundredths of half a crop side": 100 * (distance * found).sum(1) / found.sum(1).clamp(min=1),
                "mask, overlap in %": 100 * overlap,
            }
            line = f"{loss}, {source}" + (" as a product" if product else "")
            lines[line] = {head: _by_group(of, bench) for head, of in values.items()}
    return {MADE: lines}


def overlaps(found: Tensor, true: Tensor) -> Tensor:
    """Intersection over union (B,) of masks (B, R, R), bool."""
    both, either = (found & true).sum((1, 2)), (found | true).sum((1, 2))
    return both / either.clamp(min=1)


def _by_group(values: Tensor, bench: Bench) -> str:
    return " / ".join(f"{values[bench.groups[group]].mean().item():.1f}" for group in GROUPS)


MULTIMODAL_ROWS = {
    "multimodal": Row("multimodal (MMVAE, Shi 2019), from 2D", "3D, mask", multimodal()),
    "multimodal_both": Row("- from 2D and mask, in turns", "3D, mask", multimodal(masks=True)),
    "multimodal_product": Row("- from 2D and mask, their product", "3D, mask", multimodal(masks=True, product=True)),
    "multimodal_cross": Row("cross-modal (Spurr 2018), from 2D", "3D, mask", multimodal(mixture=False)),
    "multimodal_cross_product": Row(
        "- from 2D and mask, their product", "3D, mask", multimodal(mixture=False, masks=True, product=True)
    ),
}
