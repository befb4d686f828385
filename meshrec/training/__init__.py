"""Training of networks: ``train(load_config("configs/iterative_keypoints.yaml"))`` writes a checkpoint.

Lightning is imported only when a training starts.
"""

import os
from pathlib import Path

from meshrec.files.folder_lock import locked
from meshrec.training.config import TrainingConfig
from meshrec.training.config_file import load_config

__all__ = ["TrainingConfig", "load_config", "train"]


def train(config: TrainingConfig) -> Path:
    """Train a network, or resume a training that was interrupted in the same folder.

    Args:
        config: Configuration, such as :func:`load_config` reads.

    Returns:
        Path of the checkpoint, ``<out>/last.safetensors``.

    Raises:
        InputError: A file that the configuration names is missing or wrong, or the folder holds another training,
            or one that is running.
        TrainingDiverged: The loss is no longer finite.

    Example:
        >>> import tempfile
        >>> files = ["configs/iterative_keypoints.yaml", "configs/tiny.yaml"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     config = load_config(files, [f"out={folder}", "steps=2", "batch_size=2", "validation.people=2"])
        ...     train(config).name  # doctest: +ELLIPSIS
        step 2: ...
        'last.safetensors'
    """
    from meshrec.training.run import run

    if int(os.environ.get("LOCAL_RANK", 0)) + int(os.environ.get("RANK", 0)) > 0:
        return run(config)  # the first of several processes holds the folder for all
    with locked(config.out):
        return run(config)
