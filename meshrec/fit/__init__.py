"""Bodies fitted to detected people."""

from meshrec.fit.fitter import Fitter
from meshrec.fit.initial import Initial
from meshrec.fit.result import FitResult
from meshrec.fit.sequence import SequenceFit, SequenceFitter, SequenceSettings
from meshrec.fit.settings import FitSettings

__all__ = ["FitResult", "FitSettings", "Fitter", "Initial", "SequenceFit", "SequenceFitter", "SequenceSettings"]
