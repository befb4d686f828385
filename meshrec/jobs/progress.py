"""The progress of a run over many photos on the terminal."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext

from meshrec.errors import say
from meshrec.jobs.photos import Outcome


def show_progress(
    done: Sequence[Outcome], work: Iterable[Outcome], total: int, notes: Sequence[str] = ()
) -> list[Outcome]:
    """Show a bar with people found and time left on stderr, and a line for each finished photo on stdout.

    Args:
        done: Outcomes of photos that need no work.
        work: Outcomes of the other photos as they are finished.
        total: Number of these.
        notes: Remarks on the whole run, for its summary.

    Returns:
        All outcomes.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    outcomes, people = list(done), 0
    visible = total > 1 and sys.stderr.isatty()
    bar = Progress(
        TextColumn("photos"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[people]} people"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(stderr=True),
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
        disable=not visible,
    )
    with bar if visible else nullcontext():
        task = bar.add_task("photos", total=total, people=0)
        for outcome in work:
            outcomes.append(outcome)
            people += outcome.people or 0
            bar.update(task, advance=1, people=people)
            if outcome.error is None:
                say(_line(outcome))
    if len(outcomes) > 1 or notes:
        say("; ".join([_summary(outcomes), *notes]))
    elif outcomes[0].skipped:
        say(f"{outcomes[0].photo}: finished before -> {outcomes[0].folder} (--force does it again)")
    return outcomes


def _line(outcome: Outcome) -> str:
    notes = f" ({'; '.join(outcome.notes)})" if outcome.notes else ""
    found = _count(outcome.people, "person", "people") if outcome.people else "nobody found"
    return f"{outcome.photo}: {found} -> {outcome.folder}{notes}"


def _summary(outcomes: Sequence[Outcome]) -> str:
    people = _count(sum(o.people or 0 for o in outcomes), "person", "people")
    text = f"{_count(len(outcomes), 'photo', 'photos')}, {people}"
    skipped, failed = sum(o.skipped for o in outcomes), sum(o.error is not None for o in outcomes)
    if skipped:
        text += f"; {skipped} finished before"
    if failed:
        text += f"; {failed} failed"
    return text


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
