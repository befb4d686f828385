"""Runs over many photos and clips, in several processes; the failure of one does not affect the others."""

from collections.abc import Iterator, Sequence

from meshrec.errors import InputError
from meshrec.jobs.plan import Job, Outcome, Progress
from meshrec.jobs.settings import Settings
from meshrec.jobs.work import make_reconstructor, work_on
from meshrec.jobs.workers import work_in_processes


def run_jobs(jobs: Sequence[Job], settings: Settings, processes: int = 1) -> Iterator[Outcome | Progress]:
    """Reconstruct everyone in many photos and clips, and write the files that :mod:`meshrec.jobs.results` and
    :mod:`meshrec.jobs.clips` list.

    If a run is interrupted at any moment, even by ``kill -9``, all files are complete, and the next plan contains the
    photos and clips that are missing.

    Args:
        jobs: The jobs of :func:`meshrec.jobs.plan.plan_run`.
        settings: The settings of the plan.
        processes: Number of photos or clips to work on at the same time; each needs 0.75 GB of memory, and up to 1.6 GB
            if it is large.

    Returns:
        The outcome of each photo and clip as soon as it is finished, and now and then how far a clip is.

    Raises:
        InputError: The number of processes is less than 1, or nothing can be reconstructed because the body, the
            device, the regressor or the detector is wrong.
        MissingDependency: The detector's package is not installed.
    """
    if processes < 1:
        raise InputError(f"the number of processes must be at least 1, not {processes}.")
    several = min(processes, len(jobs)) > 1
    return work_in_processes(jobs, settings, processes) if several else _work_here(jobs, settings)


def _work_here(jobs: Sequence[Job], settings: Settings) -> Iterator[Outcome | Progress]:
    if jobs:
        reconstructor = make_reconstructor(settings)
        for job in jobs:
            yield from work_on(job, reconstructor, settings)
