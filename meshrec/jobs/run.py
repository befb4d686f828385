"""Runs over many photos and clips, in several processes or on several machines.

The failure of one photo does not affect the others.
"""

from collections.abc import Iterator, Sequence

from meshrec.errors import InputError
from meshrec.jobs.plan import AnyJob, Outcome, Progress
from meshrec.jobs.ray_workers import work_on_cluster
from meshrec.jobs.settings import Settings
from meshrec.jobs.work import make_reconstructor, work_on
from meshrec.jobs.workers import work_in_processes


def run_jobs(
    jobs: Sequence[AnyJob], settings: Settings, processes: int | None = None, ray: str | None = None
) -> Iterator[Outcome | Progress]:
    """Reconstruct everyone in many photos and clips, and write the files that :mod:`meshrec.jobs.results` and
    :mod:`meshrec.jobs.clips` list.

    If a run is interrupted at any moment, even by ``kill -9``, all files are complete, and the next plan contains the
    photos and clips that are missing.

    Args:
        jobs: The jobs of :func:`meshrec.jobs.plan.plan_run`.
        settings: The settings of the plan.
        processes: Number of photos or clips to work on at the same time; each needs 0.75 GB of memory, and up to 1.6 GB
            if it is large. Default: 1, or all that a cluster has room for.
        ray: ``host:port`` of a Ray cluster whose machines work on them, or ``auto`` for the one that this machine
            belongs to, as :func:`meshrec.jobs.ray_workers.work_on_cluster` says. Default: this machine alone.

    Returns:
        The outcome of each photo and clip as soon as it is finished, and now and then how far a clip is.

    Raises:
        InputError: The number of processes is less than 1, or nothing can be reconstructed because the body, the
            device, the regressor or the detector is wrong, or there is no such cluster.
        MissingDependency: The detector's package or Ray is not installed.
    """
    if processes is not None and processes < 1:
        raise InputError(f"the number of processes must be at least 1, not {processes}.")
    if ray is not None:
        return work_on_cluster(jobs, settings, ray, processes)
    processes = 1 if processes is None else processes
    several = min(processes, len(jobs)) > 1
    return work_in_processes(jobs, settings, processes) if several else _work_here(jobs, settings)


def _work_here(jobs: Sequence[AnyJob], settings: Settings) -> Iterator[Outcome | Progress]:
    if jobs:
        reconstructor = make_reconstructor(settings)
        for job in jobs:
            yield from work_on(job, reconstructor, settings)
