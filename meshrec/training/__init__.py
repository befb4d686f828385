"""Training: data to checkpoint. ``train(load_config("configs/iterative_keypoints.yaml"))`` is all of it.

Lightning is loaded when a training starts, not before.
"""

from pathlib import Path

from meshrec.training.config import TrainingConfig
from meshrec.training.config_file import load_config

__all__ = ["TrainingConfig", "load_config", "train"]


def train(config: TrainingConfig) -> Path:
    """Train, or go on with a training that was interrupted in the same folder.

    Args:
        config: Everything about it; see :func:`load_config`.

    Returns:
        The checkpoint, ``<out>/last.safetensors``.

    Raises:
        InputError: A file that the configuration names is missing or wrong, or the folder holds another training.
        TrainingDiverged: The loss is no longer finite.
    """
    from meshrec.training.run import run

    return run(config)
