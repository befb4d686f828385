"""The progress of a run over many photos and clips on the terminal."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from meshrec.errors import say
from meshrec.files.addresses import Location
from meshrec.jobs.plan import Outcome, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

SMOOTHED_OVER = 60.0  # seconds over which the rate of a clip is a mean


def show_progress(
    done: Sequence[Outcome], work: Iterable[Outcome | Progress], total: int, notes: Sequence[str] = ()
) -> list[Outcome]:
    """Show bars with people found, rates and time left on stderr, and a line for each finished file on stdout.

    Args:
        done: Outcomes of files that need no work.
        work: Outcomes of the other files as they are finished, and how far clips are.
        total: Number of the other files.
        notes: Remarks on the whole run, for its summary.

    Returns:
        All outcomes.
    """
    outcomes, people = list(done), 0
    visible = sys.stderr.isatty()
    bars = _bars(visible)
    clips: dict[Path | Location, TaskID] = {}
    with bars if visible else nullcontext():
        files = bars.add_task("files", total=total, note="0 people", visible=total > 1)
        for message in work:
            if isinstance(message, Progress):
                _show_clip(bars, clips, message)
                continue
            outcomes.append(message)
            people += message.people or 0
            bars.update(files, advance=1, note=_count(people, "person", "people"))
            if message.source in clips:
                bars.remove_task(clips.pop(message.source))
            if message.error is None and not message.skipped:
                say(_line(message))
    if len(outcomes) > 1 or notes:
        say("; ".join([_summary(outcomes), *notes]))
    elif outcomes[0].skipped:
        say(f"{outcomes[0].source}: finished before -> {outcomes[0].folder} (--force does it again)")
    return outcomes


def _bars(visible: bool) -> "Bars":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(stderr=True),
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
        disable=not visible,
        speed_estimate_period=SMOOTHED_OVER,
    )


def _show_clip(bars: "Bars", clips: dict[Path | Location, "TaskID"], message: Progress) -> None:
    """Show how far a clip is, on a bar of its own."""
    name = f"{message.source.name}: {message.stage}"
    task = clips.get(message.source)
    if task is None or bars.tasks[bars.task_ids.index(task)].description != name:
        if task is not None:
            bars.remove_task(task)
        task = clips[message.source] = bars.add_task(name, total=message.total, completed=message.done, note="")
    bars.update(task, completed=message.done, total=message.total)
    speed = bars.tasks[bars.task_ids.index(task)].speed
    bars.update(task, note=f"{speed:.1f} frames/s" if speed else "")


def _line(outcome: Outcome) -> str:
    notes = f" ({'; '.join(outcome.notes)})" if outcome.notes else ""
    found = _count(outcome.people, "person", "people") if outcome.people else "nobody found"
    return f"{outcome.source}: {found} -> {outcome.folder}{notes}"


def _summary(outcomes: Sequence[Outcome]) -> str:
    people = _count(sum(o.people or 0 for o in outcomes), "person", "people")
    clips = sum(o.clip for o in outcomes)
    kinds = [_count(len(outcomes) - clips, "photo", "photos")] if len(outcomes) > clips else []
    text = ", ".join([*kinds, *([_count(clips, "clip", "clips")] if clips else []), people])
    skipped, failed = sum(o.skipped for o in outcomes), sum(o.error is not None for o in outcomes)
    if skipped:
        text += f"; {skipped} finished before"
    if failed:
        text += f"; {failed} failed"
    return text


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
