"""The shipped networks by name, and any checkpoint by its file."""

from pathlib import Path

from meshrec.body import BodyModel, load_body
from meshrec.errors import InputError
from meshrec.models import weights_folder
from meshrec.models.checkpoints import load_checkpoint, read_header
from meshrec.regress.regressor import NetworkRegressor

NAMES = {"keypoints": "iterative_keypoints", "proxy": "iterative_proxy", "graph": "graph_keypoints"}
DEFAULT, NONE = "proxy", "none"


def load_regressor(name: str | Path, body: BodyModel | None = None, mirror: bool = True) -> NetworkRegressor:
    """A trained network as a regressor.

    Args:
        name: ``"keypoints"``, ``"proxy"`` or ``"graph"`` for the shipped ones; or a checkpoint's file.
        body: Whose pose and shape to estimate; default the body it was trained with. The shape of another body is left
            to the fit: betas mean something else there. The network runs where the body is.
        mirror: As in :class:`NetworkRegressor`.

    Raises:
        InputError: There is no such network, the file is damaged, or the body it was trained with is not at hand.
    """
    path = find_weights(name)
    trained_hash = read_header(path)["body"]
    trained = body if body is not None and body.hash == trained_hash else load_body("neutral")
    if trained.hash != trained_hash:
        raise InputError(f"{path} was trained with the body {trained_hash}; name that body, or train with this one.")
    if body is not None:
        trained = trained.to(body.v_template.device)
    checkpoint = load_checkpoint(path, trained)
    return NetworkRegressor(
        checkpoint.network, trained, body, checkpoint.error_covariance, checkpoint.shape_calibration, mirror
    )


def regressor_name(name: str | Path | None) -> str:
    """The name of the regressor that is meant: for None the default one's, or ``"none"`` while it is not installed."""
    if name is None:
        return DEFAULT if _shipped(DEFAULT).is_file() else NONE
    return str(name)


def find_weights(name: str | Path) -> Path:
    """The file of a network: a shipped one's by its name, or any by its path.

    Raises:
        InputError: There is none; the message names those there are.
    """
    path = _shipped(name) if _shipped(name).is_file() else Path(name)
    if not path.is_file():
        known = ", ".join([*shipped_regressors(), "a checkpoint file"])
        raise InputError(f"there is no regressor '{name}': give {known}.")
    return path


def shipped_regressors() -> list[str]:
    """The names of those that are installed."""
    return [name for name in NAMES if _shipped(name).is_file()]


def _shipped(name: str | Path) -> Path:
    return weights_folder() / f"{NAMES.get(str(name), name)}.safetensors"
