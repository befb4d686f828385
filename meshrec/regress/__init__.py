"""A network's estimate of every person in a photo, with its calibrated uncertainty: the start of the fit."""

from meshrec.regress.full_frame import FullFrameRegressor
from meshrec.regress.regressor import NetworkRegressor
from meshrec.regress.settings import RegressorSettings
from meshrec.regress.weights import load_regressor

__all__ = ["FullFrameRegressor", "NetworkRegressor", "RegressorSettings", "load_regressor"]
