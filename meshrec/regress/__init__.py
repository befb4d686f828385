"""A network's estimate of every person in a photo, with its calibrated uncertainty, for the fit to start from."""

from meshrec.regress.regressor import NetworkRegressor
from meshrec.regress.weights import load_regressor

__all__ = ["NetworkRegressor", "load_regressor"]
