"""Bodies fitted to detected people."""

from meshrec.fit.fitter import Fitter
from meshrec.fit.initial import Initial
from meshrec.fit.result import FitResult
from meshrec.fit.sequence import SequenceFit, SequenceFitter, SequenceSettings
from meshrec.fit.settings import FitSettings
from meshrec.fit.view_sequence import MultiViewSequenceFit, MultiViewSequenceFitter
from meshrec.fit.view_settings import ViewSettings
from meshrec.fit.views import MultiViewFit, MultiViewFitter

__all__ = [
    "FitResult",
    "FitSettings",
    "Fitter",
    "Initial",
    "MultiViewFit",
    "MultiViewFitter",
    "MultiViewSequenceFit",
    "MultiViewSequenceFitter",
    "SequenceFit",
    "SequenceFitter",
    "SequenceSettings",
    "ViewSettings",
]
