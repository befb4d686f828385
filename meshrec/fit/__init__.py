"""Bodies fitted to detected people."""

from meshrec.fit.fitter import Fitter, Initial
from meshrec.fit.result import FitResult
from meshrec.fit.state import BodyState

__all__ = ["BodyState", "FitResult", "Fitter", "Initial"]
