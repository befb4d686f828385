"""How good a network is, or the fit, or both: :func:`evaluate` makes a :class:`Report`."""

from meshrec.evaluation.datasets import PROTOCOLS, EvaluationSet, open_evaluation_set, synthetic_set
from meshrec.evaluation.output import print_report, write_report
from meshrec.evaluation.report import Report
from meshrec.evaluation.run import evaluate

__all__ = [
    "PROTOCOLS",
    "EvaluationSet",
    "Report",
    "evaluate",
    "open_evaluation_set",
    "print_report",
    "synthetic_set",
    "write_report",
]
