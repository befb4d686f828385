"""Read random hostile files in child processes, and say whether one crashed, hung, took memory or raised anything else.

Example: python tests/fuzz/run.py programs --count 20000 --seed 0
"""

import argparse
import faulthandler
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

SECONDS = 10  # of processor time, which does not depend on what else the machine does
WAITING = 300  # seconds, after which a reader waits for something
MEMORY = 1536 << 20  # bytes beyond those of a reader that has read nothing
IN_A_CHILD = 2000
MOST_FAULTS = 10
KINDS = ("programs", "mutations", "repetitions")


def read_in_all_ways(path: Path) -> Counter:
    """Read a file as everything that it might be, and use what is in it. An InputError is the right answer."""
    import numpy as np
    import torch

    from meshrec.body import read_body
    from meshrec.datasets.threedpw import read_threedpw
    from meshrec.errors import InputError
    from meshrec.files.arrays import SparseMatrix, unpickle_arrays, unpickle_element
    from meshrec.files.joblib_files import unpickle_tables
    from meshrec.files.torch_files import read_torch
    from meshrec.models.published import read_weights

    outcomes: Counter = Counter()

    def use(value: object, depth: int = 0) -> None:
        if isinstance(value, torch.Tensor):
            assert value.numel() < 2**62
            sum(float(part.real) for part in value.reshape(-1)[:100]) if value.numel() < 10**7 else None
        elif isinstance(value, SparseMatrix):
            assert len(value.data) == len(value.rows) == len(value.columns)
        elif isinstance(value, dict):
            for item in value.values():
                use(item, depth + 1)
        elif isinstance(value, list | tuple) and depth < 3:
            for item in value[:100]:
                use(item, depth + 1)
        elif isinstance(value, np.ndarray | np.generic):
            assert value.dtype.kind in "fiubcSU" and value.dtype.isnative
            value.ravel()[:100].tolist()

    def attempt(name: str, read) -> object:
        try:
            made = read()
            outcomes[f"{name} read"] += 1
            use(made)
        except InputError as error:
            if "more memory than there is" in str(error):
                raise MemoryError(str(error)) from None
            assert "\n" not in str(error) and len(str(error)) < 1000
            outcomes[f"{name} refused"] += 1
            return None
        return made

    arrays = attempt("arrays", lambda: unpickle_arrays(path)) or {}
    for key in arrays:
        value = attempt("value", lambda key=key: arrays[key])
        if isinstance(value, list):
            with suppress(ValueError):  # of lists of different lengths
                np.asarray(value)
    attempt("element", lambda: unpickle_element(path.read_bytes(), 0, path))
    attempt("body", lambda: read_body(path))
    attempt("3DPW", lambda: read_threedpw(path, path.parent))
    tables = attempt("tables", lambda: unpickle_tables(path)) or {}
    for key in tables:
        attempt("entry", lambda key=key: tables[key])
    attempt("torch", lambda: read_torch(path))
    attempt("weights", lambda: read_weights(path))
    return outcomes


def child(kind: str, first: int, last: int, report: Path) -> None:
    """Read the files of the seeds from ``first`` to ``last``; the report says how far it got."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)  # says where the time went; then the signal ends the process
    if kind == "programs":
        from fuzz.programs import program as make
    elif kind == "repetitions":
        from fuzz.repetitions import repetition as make
    else:
        from fuzz.mutations import mutation as make
    outcomes: Counter = Counter()
    longest, most = (0.0, -1), (0, -1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.pkl"
        path.write_bytes(b"}.")
        read_in_all_ways(path)  # loads all libraries
        limit = _memory("VmSize") + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for seed in range(first, last):
            report.write_text(json.dumps({"reading": seed}))
            path.write_bytes(make(seed))
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
            before, start = _memory("VmRSS"), time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            faulthandler.dump_traceback_later(WAITING, exit=True)
            outcomes += read_in_all_ways(path)
            faulthandler.cancel_dump_traceback_later()
            signal.setitimer(signal.ITIMER_PROF, 0)
            longest = max(longest, (time.process_time() - start, seed))
            most = max(most, (_memory("VmHWM") - before, seed))
    report.write_text(json.dumps({"reading": last, "longest": longest, "most": most, "outcomes": outcomes}))


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def run(kind: str, count: int, seed: int, jobs: int = 1) -> tuple[list[str], dict]:
    """Read ``count`` random files.

    Args:
        kind: One of :data:`KINDS`.
        count: Number of files.
        seed: Of the first file; every further one has the next.
        jobs: Number of processes at once.

    Returns:
        A sentence for each file that is a fault of the reader, and figures of the others.
    """
    faults: list[str] = []
    totals: dict = {"files": 0, "longest": (0.0, -1), "most": (0, -1), "outcomes": Counter()}
    waiting = [(start, min(start + IN_A_CHILD, seed + count)) for start in range(seed, seed + count, IN_A_CHILD)]
    running: list[tuple[subprocess.Popen, int, int, Path, Path]] = []
    with tempfile.TemporaryDirectory() as folder:
        while running or (waiting and len(faults) < MOST_FAULTS):
            while waiting and len(running) < jobs and len(faults) < MOST_FAULTS:
                first, last = waiting.pop(0)
                report, errors = Path(folder) / f"{first}.json", Path(folder) / f"{first}.txt"
                report.write_text(json.dumps({"reading": first}))
                command = [sys.executable, __file__, kind, "--child", str(first), str(last), str(report)]
                with errors.open("wb") as stream:
                    running.append((subprocess.Popen(command, stderr=stream), first, last, report, errors))
            process, first, last, report, errors = running.pop(0)
            process.wait()
            said = json.loads(report.read_text())
            totals["files"] += said["reading"] - first
            if process.returncode == 0:
                for name in ("longest", "most"):
                    totals[name] = max(totals[name], tuple(said[name]))
                totals["outcomes"] += Counter(said["outcomes"])
            else:
                reason = errors.read_text(errors="replace").strip()[-1500:]
                faults.append(f"{kind} {said['reading']}: exit code {process.returncode}\n{reason}")
                waiting.append((said["reading"] + 1, last))
                waiting = [(start, end) for start, end in waiting if start < end]
    if totals["most"][0] > MEMORY:
        faults.append(f"{kind} {totals['most'][1]}: {totals['most'][0] >> 20} MiB")
    return faults, totals


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes at once (default: 1)")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.kind, int(options.child[0]), int(options.child[1]), Path(options.child[2]))
        return 0
    faults, totals = run(options.kind, options.count, options.seed, options.jobs)
    (seconds, slow), (memory, large) = totals["longest"], totals["most"]
    print(*faults, sep="\n\n")
    print(f"{totals['files']} {options.kind}, {len(faults)} faults; longest {seconds:.2f} s (seed {slow})", end="; ")
    print(f"most memory {memory >> 20} MiB (seed {large})")
    print(", ".join(f"{name} {count}" for name, count in sorted(totals["outcomes"].items())))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
