"""Speed on this machine, against other libraries where they are installed.

Each benchmark is a module of its name: ``run`` measures, prints tables and returns all figures as plain numbers,
``headlines`` picks those of them that are worth comparing.
"""

BENCHMARKS = ("body", "metrics", "models", "render", "synthetic", "regressors", "fit", "photos")
