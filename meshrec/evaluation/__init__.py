"""Accuracy of networks, of the fit, of both together and of the detector itself.

:func:`evaluate` makes a :class:`Report` on one method, :func:`compare` one on each of several, and
:func:`compare_clips` on each frame alone beside whole clips.
"""

from meshrec.evaluation.clips import compare_clips, evaluate_clips
from meshrec.evaluation.datasets import PROTOCOLS, EvaluationSet, open_evaluation_set, synthetic_set
from meshrec.evaluation.methods import Method, methods_of
from meshrec.evaluation.output import print_comparison, print_report, write_report
from meshrec.evaluation.report import Report
from meshrec.evaluation.run import compare, evaluate

__all__ = [
    "PROTOCOLS",
    "EvaluationSet",
    "Method",
    "Report",
    "compare",
    "compare_clips",
    "evaluate",
    "evaluate_clips",
    "methods_of",
    "open_evaluation_set",
    "print_comparison",
    "print_report",
    "synthetic_set",
    "write_report",
]
