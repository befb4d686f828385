"""Benchmarks of speed on this machine, in comparison with other libraries where they are installed.

Each benchmark is a module of its name. Its function ``run`` measures, prints tables and returns all figures as plain
numbers; ``headlines`` picks the figures to compare between runs. Accuracy is measured by :mod:`meshrec.evaluation`.
"""

BENCHMARKS = (
    "body",
    "neighbours",
    "metrics",
    "models",
    "render",
    "parameters",
    "synthetic",
    "regressors",
    "fit",
    "photo",
    "growth",
)
