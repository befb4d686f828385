"""Bodies fitted to detected people."""

from meshrec.fit.fitter import Fitter, Initial
from meshrec.fit.result import FitResult

__all__ = ["FitResult", "Fitter", "Initial"]
