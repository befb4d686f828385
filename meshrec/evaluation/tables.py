"""The tables of one report, or of several side by side."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from rich.table import Table
from rich.text import Text

from meshrec.errors import printable
from meshrec.evaluation.report import Report, mean_of
from meshrec.evaluation.scores import MEASURES, MISSED_MM, SHAPE
from meshrec.metrics import joint_parts

STAGE_COLUMNS = ("mpjpe", "pa_mpjpe", "mpve", "pa_mpve", "pck2d")
GROUP_COLUMNS = ("mpjpe", "pa_mpjpe", "mpve", "pa_mpve", "pck2d", "mask_iou")
RANKING = {"spearman": "score's rank correlation with 2D PCK", "auc": "AUC of the score for good results"}


def tables_of(report: Report) -> list[Table]:
    """The tables that have rows: measures, groups, stages, shape, joints, parts and silhouettes."""
    makers = (_overview, _by_group, _by_stage, _shape, _joints, _parts, _silhouettes)
    return [table for table in (make(report) for make in makers) if table.row_count]


def comparison_of(reports: Sequence[Report]) -> list[Table]:
    """Tables of several methods on the same people, a column each: means, medians, and the first measure by group."""
    names, first = [report.settings["method"] for report in reports], reports[0]
    title = f"{first.settings['dataset']}, {len(first)} people: means"
    means, medians = (_table(heading, "measure", *names, "unit", folds=True) for heading in (title, "Medians"))
    means.add_row("people not found", *(str(int((~report.found).sum())) for report in reports), "")
    for name in (name for name in MEASURES if any(_measured(report, [name]) for report in reports)):
        columns = [report.people.get(name) for report in reports]
        label, unit = MEASURES[name].label, MEASURES[name].unit
        means.add_row(label, *(_text(mean_of(values)) for values in columns), unit)
        medians.add_row(label, *(_text(_median(values)) for values in columns), unit)
    rankings = [report.ranking() for report in reports]
    for name in (name for name in RANKING if any(name in ranking for ranking in rankings)):
        means.add_row(RANKING[name], *(_text(ranking.get(name, math.nan)) for ranking in rankings), "")
    ranked = next((name for name in ("pa_mpjpe", "pck2d") if _measured(first, [name])), "")
    groups = _table(f"{MEASURES[ranked].label} by group" if ranked else "", "group", "people", *names)
    for group, rows in first.groups.items() if ranked else ():
        groups.add_row(group, str(len(rows)), *(_text(report.mean(ranked, group)) for report in reports))
    return [table for table in (means, medians, groups) if table.row_count]


def _median(values: np.ndarray | None) -> float:
    return math.nan if values is None or np.isnan(values).all() else float(np.nanmedian(values))


def _overview(report: Report) -> Table:
    missed = int((~report.found).sum())
    note = f", {missed} not found (each counts {MISSED_MM:.0f} mm, 0 %)" if missed else ""
    table = _table(f"{report.title}: {len(report)} people{note}", "measure", "mean", "median", "unit", "people")
    for name in _measured(report, MEASURES):
        values, measure = report.people[name], MEASURES[name]
        count = int((~np.isnan(values)).sum())
        table.add_row(measure.label, _text(report.mean(name)), _text(_median(values)), measure.unit, str(count))
    for name, value in report.ranking().items():
        table.add_row(RANKING[name], _text(value), "", "", "")
    return table


def _by_group(report: Report) -> Table:
    names = _measured(report, GROUP_COLUMNS)
    table = _table("By group", "group", "people", *(MEASURES[name].label for name in names))
    for group, rows in report.groups.items():
        table.add_row(group, str(len(rows)), *(_text(report.mean(name, group)) for name in names))
    return table


def _by_stage(report: Report) -> Table:
    names = _measured(report, STAGE_COLUMNS)
    table = _table("After each stage", "stage", *(MEASURES[name].label for name in names))
    if len(report.stages) > 1:
        for stage, values in report.stages.items():
            table.add_row(stage, *(_text(mean_of(values.get(name))) for name in names))
    return table


def _shape(report: Report) -> Table:
    names = _measured(report, SHAPE)
    labels = (f"{MEASURES[name].label}, {MEASURES[name].unit}" for name in names)
    table = _table("Errors of shape / of the mean shape", "group", *labels)
    for group in (None, *report.groups) if names else ():
        rows = report.groups[group] if group else None
        pairs = [f"{report.mean(n, group):.0f} / {mean_of(report.baseline[n], rows):.0f}" for n in names]
        table.add_row(group or "all", *pairs)
    return table


def _joints(report: Report) -> Table:
    table = _table("By joint, mm", "joint", *(MEASURES[name].label for name in report.joints))
    if _measured(report, report.joints):
        for part, columns in joint_parts(tuple(report.joint_names)).items():
            table.add_row(part, *(_text(mean_of(values[:, columns])) for values in report.joints.values()))
    return table


def _parts(report: Report) -> Table:
    table = _table("Vertices by part, mm", "part", *(MEASURES[name].label for name in report.parts))
    if _measured(report, report.parts):
        for i, part in enumerate(report.part_names):
            table.add_row(part, *(_text(mean_of(values[:, i])) for values in report.parts.values()))
    return table


def _silhouettes(report: Report) -> Table:
    table = _table("Silhouettes by part, pixels of all people", "part", "accuracy", "F1", "IoU")
    for part, values in report.part_silhouettes().items():
        table.add_row(part, *(_text(values.get(name, math.nan)) for name in ("accuracy", "f1", "iou")))
    return table


def _measured(report: Report, names: Iterable[str]) -> list[str]:
    """Those of some measures of which at least one person has a value."""
    return [name for name in names if not np.isnan(report.people.get(name, np.nan)).all()]


def _table(title: str, first: str, *others: str, folds: bool = False) -> Table:
    """An empty table; where it is too wide its first column folds, or else the others do."""
    # Names are those of files; as Text they are shown as they are, even if they look like markup.
    table = Table(title=Text(printable(title)), title_justify="left")
    table.add_column(Text(printable(first)), no_wrap=not folds)
    for name in others:
        table.add_column(Text(printable(name)), justify="left" if name == "unit" else "right", no_wrap=folds)
    return table


def _text(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
