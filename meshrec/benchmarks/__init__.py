"""Speed on this machine, against other libraries where they are installed.

Each benchmark is a module of its name: ``run`` measures, prints tables and returns all figures as plain numbers,
``headlines`` picks the figures to compare between runs. Accuracy is measured by :mod:`meshrec.evaluation`.
"""

BENCHMARKS = ("body", "metrics", "models", "render", "synthetic", "regressors", "fit")
