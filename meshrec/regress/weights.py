"""Regressors by name or by checkpoint file."""

from dataclasses import replace
from pathlib import Path

from meshrec.body import BodyModel, load_body
from meshrec.errors import InputError
from meshrec.models import weights_folder
from meshrec.models.checkpoints import Checkpoint, load_checkpoint, read_header
from meshrec.models.field_of_view import ARCHITECTURE as FIELD_OF_VIEW
from meshrec.regress.full_frame import FAMILIES, FullFrameRegressor
from meshrec.regress.regressor import NetworkRegressor
from meshrec.regress.settings import RegressorSettings

NAMES = {"keypoints": "iterative_keypoints", "proxy": "iterative_proxy", "graph": "graph_keypoints"}
DEFAULT, NONE = "proxy", "none"  # the default regressor, and the name that stands for no regressor


def load_regressor(
    name: str | Path,
    body: BodyModel | None = None,
    mirror: bool | None = None,
    settings: RegressorSettings | None = None,
    network: str = "",
) -> NetworkRegressor | FullFrameRegressor:
    """Load a trained network as a regressor.

    Args:
        name: ``"keypoints"``, ``"proxy"`` or ``"graph"`` for the shipped networks, or a checkpoint file.
        body: The body to estimate; the network runs on its device. Default: the body with which the network was
            trained. The shape of another body is left to the fit, since betas mean something else there.
        mirror: Whether to average the estimates of each crop and its mirror image. Default: not for published networks
            that see crops of their own kind (:mod:`meshrec.regress.full_frame`), as published.
        settings: Margin of the crops, and assumed uncertainty. Networks with crops of their own kind have a margin of
            their own. Default: those of the network's kind.
        network: Import path of the user's own network that the file may hold; see
            :func:`meshrec.models.checkpoints.load_checkpoint`.

    Returns:
        The regressor.

    Raises:
        InputError: There is no such network, its file is damaged, or the body with which it was trained is neither
            ``body`` nor the shipped neutral one.

    Example:
        >>> from meshrec.regress import load_regressor
        >>> regressor = load_regressor("keypoints", mirror=False)
        >>> type(regressor).__name__, regressor.mirror
        ('NetworkRegressor', False)
    """
    path = find_weights(name)
    header = read_header(path)
    if header["architecture"] == FIELD_OF_VIEW:
        raise InputError(f"{path} estimates fields of view, not bodies: give it as the focal length (--focal {path}).")
    trained_hash = header["body"]
    trained = body if body is not None and body.hash == trained_hash else load_body("neutral")
    if trained.hash != trained_hash:
        raise InputError(f"{path} was trained with the body {trained_hash}; name that body, or train with this one.")
    if body is not None:
        trained = trained.to(body.v_template.device)
    checkpoint = load_checkpoint(path, trained, network)
    return as_regressor(checkpoint, trained, body, mirror, settings)


def as_regressor(
    checkpoint: Checkpoint,
    trained: BodyModel,
    body: BodyModel | None = None,
    mirror: bool | None = None,
    settings: RegressorSettings | None = None,
) -> NetworkRegressor | FullFrameRegressor:
    """Make a regressor of a network that was read from a checkpoint.

    Args:
        checkpoint: The network, and what was measured of its errors.
        trained: The body with which it was trained.
        body, mirror, settings: As for :func:`load_regressor`.
    """
    network, covariance = checkpoint.network, checkpoint.error_covariance
    if checkpoint.architecture in FAMILIES:
        family = FAMILIES[checkpoint.architecture]
        family = replace(family, settings=settings or family.settings)
        return FullFrameRegressor(network, trained, family, body, covariance, bool(mirror))
    mirror, settings = mirror is not False, settings or RegressorSettings()
    return NetworkRegressor(network, trained, body, covariance, checkpoint.shape_calibration, mirror, settings)


def regressor_name(name: str | Path | None) -> str:
    """Replace None by the name of the default regressor.

    Args:
        name: A name, a checkpoint file, or None.

    Returns:
        The name or file as it is. For None, the name of the default regressor, or ``"none"`` if it is not installed.
    """
    if name is None:
        return DEFAULT if _shipped(DEFAULT).is_file() else NONE
    return str(name)


def find_weights(name: str | Path) -> Path:
    """Find the checkpoint file of a network.

    Args:
        name: Name of a shipped network, or path of a checkpoint.

    Returns:
        The file.

    Raises:
        InputError: There is no such network; the message names the installed ones.
    """
    path = _shipped(name) if _shipped(name).is_file() else Path(name)
    if not path.is_file():
        known = ", ".join([*shipped_regressors(), "a checkpoint file"])
        raise InputError(f"there is no regressor '{name}': give {known}.")
    return path


def shipped_regressors() -> list[str]:
    """Names of the shipped networks that are installed."""
    return [name for name in NAMES if _shipped(name).is_file()]


def _shipped(name: str | Path) -> Path:
    return weights_folder() / f"{NAMES.get(str(name), name)}.safetensors"
