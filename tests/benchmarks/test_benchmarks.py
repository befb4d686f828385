"""The benchmarks together: what they say in one table and one file, and how two runs are compared."""

import json
from types import SimpleNamespace

import pytest

from meshrec.benchmarks import (
    BENCHMARKS,
    body,
    fit,
    metrics,
    models,
    parameters,
    photo,
    regressors,
    render,
    suite,
    synthetic,
)
from meshrec.benchmarks.headlines import Headline
from meshrec.body import joint_set, load_body
from meshrec.cli import main
from meshrec.errors import InputError
from meshrec.evaluation.methods import reconstructors
from meshrec.models.build import build_network
from meshrec.models.checkpoints import save_checkpoint
from meshrec.synthetic.benchmark import SyntheticBenchmark

TINY = {"encoder": {"inputs": ["keypoints"], "width": 32, "blocks": 1}, "width": 16}


class Stopwatch:
    """Stands for a benchmark: measures nothing, in no time."""

    def __init__(self, name: str, lacks: str = "") -> None:
        self.name, self.lacks, self.given = name, lacks, None

    def run(self, **given: object) -> dict:
        self.given = given
        if self.lacks:
            raise InputError(self.lacks)
        print(f"table of {self.name}")
        return {"ms": len(self.name)}

    def headlines(self, figures: dict) -> list[Headline]:
        return [Headline(f"{self.name}: a thing", figures["ms"], "ms", "peer", 2.5)]


@pytest.fixture
def stopwatches(monkeypatch) -> dict[str, Stopwatch]:
    watches = {name: Stopwatch(name) for name in BENCHMARKS}
    monkeypatch.setattr(suite, "import_module", lambda path: watches[path.rpartition(".")[2]])
    return watches


def test_all_are_run_and_end_in_one_table(stopwatches, tmp_path, capsys):
    stopwatches["regressors"].lacks = "no regressor is installed."
    out = tmp_path / "new" / "run.json"
    assert main(["benchmark", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "regressors is left out: no regressor is installed." in printed
    tables, _, last = printed.partition("Headlines")
    measured = [name for name in BENCHMARKS if name != "regressors"]
    assert [line for line in tables.splitlines() if "table of" in line] == [f"table of {name}" for name in measured]
    assert all(f"{name}: a thing" in last for name in measured) and last.count("2.5 x") == len(measured)
    written = json.loads(out.read_text())
    assert written["figures"] == {name: {"ms": len(name)} for name in measured}
    assert written["left_out"] == {"regressors": "no regressor is installed."}
    first = {"name": "body: a thing", "value": 4, "unit": "ms", "peer": "peer", "ratio": 2.5}
    assert written["headlines"][0] == first and len(written["headlines"]) == len(measured)
    machine = written["machine"]
    assert machine["cores"] >= 1 and machine["processor"] and {"meshrec", "python", "torch", "numpy"} <= set(machine)


def test_one_that_lacks_something_fails_when_it_alone_is_asked_for(stopwatches, capsys):
    stopwatches["regressors"].lacks = "no regressor is installed."
    assert main(["benchmark", "regressors"]) == 1
    assert capsys.readouterr().err == "meshrec: no regressor is installed.\n"
    assert stopwatches["regressors"].given == {} and stopwatches["body"].given is None


def test_an_interrupted_run_keeps_what_was_finished(stopwatches, tmp_path, monkeypatch):
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stopwatches["render"], "run", interrupt)
    assert main(["benchmark", "--json", str(tmp_path / "run.json")]) == 130
    assert list(json.loads((tmp_path / "run.json").read_text())["figures"]) == [
        "body",
        "neighbours",
        "metrics",
        "models",
    ]


@pytest.mark.parametrize("place", [".", "file/run.json"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(place, stopwatches, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["benchmark", "--json", str(tmp_path / place)]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("meshrec: cannot write") and printed.err.count("\n") == 1 and printed.out == ""
    assert all(watch.given is None for watch in stopwatches.values())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "command", ["benchmark --json new/run.json", "evaluate --checkpoint none --fit --dataset synthetic --out new"]
)
def test_a_folder_without_permission_is_refused_before_the_work(command, stopwatches, tmp_path, monkeypatch, capsys):
    def refuse(part, data) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("meshrec.files.atomic._create", refuse)
    monkeypatch.setattr("meshrec.evaluation.compare", lambda *given, **more: pytest.fail("has worked"))
    assert main(command.split()) == 1
    assert "Permission denied; choose a folder that you may write to" in capsys.readouterr().err
    assert all(watch.given is None for watch in stopwatches.values()) and not list(tmp_path.iterdir())


def test_two_runs_side_by_side(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")

    def run(name: str, machine: dict, **values: float) -> str:
        lines = [{"name": key, "value": value, "unit": "ms"} for key, value in values.items()]
        (tmp_path / name).write_text(json.dumps({"headlines": lines, "machine": machine}))
        return str(tmp_path / name)

    old = run("old.json", {"torch": "2.1", "cores": 2}, skinning=8.0, gone=3.0, zero=0.0)
    new = run("new.json", {"torch": "2.2", "cores": 2, "smplx": "0.1"}, skinning=2.0, zero=1.0, added=5.0)
    assert main(["benchmark", "--compare", old, new]) == 0
    printed = capsys.readouterr().out
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if "│" in line]
    assert cells == [
        ["skinning", "ms", "8", "2", "0.25"],
        ["gone", "ms", "3", "-", "-"],
        ["zero", "ms", "0", "1", "-"],
        ["added", "ms", "-", "5", "-"],
    ]
    assert "torch: 2.1 before, 2.2 now" in printed and "smplx: none before, 0.1 now" in printed
    assert "cores" not in printed


def test_headlines_name_the_peer_where_there_is_one():
    row = {"body": "open body", "batch": 64, "pass": "forward", "meshrec_ms": 4.0}
    alone = {"rows": [row, row | {"batch": 1}], "peak_mb": {"meshrec": 50.0}}
    both = {"rows": [row | {"smplx_ms": 12.0, "ratio": 3.1}], "peak_mb": {"meshrec": 50.0, "smplx": 200.0}}
    time, memory = body.headlines(alone)
    assert (time.value, time.peer, time.ratio, memory.value, memory.ratio) == (4.0, "", None, 50.0, None)
    assert [(line.peer, line.ratio) for line in body.headlines(both)] == [("smplx", 3.1), ("smplx", 4.0)]
    assert len(body.headlines(both | {"peak_mb": {}})) == 1  # systems that do not tell memory
    rates = {"joints": 17, "batch": 8192, "mpjpe": 2.0, "pa_mpjpe": 1.0, "scipy": 0.1, "ratio": 10.0}
    assert metrics.headlines([rates | {"batch": 64}, rates])[0].ratio == 10.0
    times = {"backbone_ms": 50.0, "iterative_ms": 51.0, "graph_without_backbone_ms": 9.0, "iterative_overhead": 0.02}
    assert [line.value for line in models.headlines(times | {"training_mb, HMR": 900.0})] == [51.0, 2.0, 9.0, 900.0]
    drawn = {"task": "silhouette", "backend": "numba", "batch": 1, "both_ms": 1.3, "both_ratio": 3400.0}
    overlay = {"task": "overlay 512", "backend": "numba", "batch": 1, "forward_ms": 30.0}
    lines = render.headlines([drawn, drawn | {"backend": "torch", "both_ms": 90.0}, overlay])
    assert [(line.value, line.ratio) for line in lines] == [(1.3, 3400.0), (30.0, None)]
    steps = {"RGB sample": {"per_second": 20.0}, "  its picture": {"per_second": 25.0}}
    assert [line.value for line in synthetic.headlines({"steps": steps})] == [20.0]


def test_parameters_are_compared_at_their_errors(monkeypatch):
    monkeypatch.setattr(parameters, "BATCHES", (2,))
    monkeypatch.setattr(parameters, "find_spec", lambda name: None)
    rows = parameters.run()
    assert [row["noise_mm"] for row in rows] == [0.0, 5.0] and rows[0]["meshrec_mm"] < 0.5 < 2 * rows[1]["meshrec_mm"]
    assert [(line.peer, line.value) for line in parameters.headlines(rows)] == [("", rows[1]["meshrec_ms"])]
    assert rows[0]["meshrec_mm"] < rows[0]["quick_mm"] < 2
    peer = {"ratio_1": 4.0, "smplfitter_1_ms": 9.0}
    assert [line.ratio for line in parameters.headlines([row | peer for row in rows])] == [4.0]


def test_regressors_are_timed_from_crop_to_photo(tmp_path, monkeypatch):
    person = load_body("neutral")
    path = save_checkpoint(tmp_path / "tiny.safetensors", build_network("iterative", TINY, person), person.hash)
    monkeypatch.setattr(regressors, "RESOLUTION", 64)
    rows = regressors.run([str(path)], seconds=0)
    assert [row["people"] for row in rows] == [1, 8]
    assert all(row[part] > 0 for row in rows for part in ("total_ms", "crop_ms", "network_ms", "back_ms"))
    names = [line.name for line in regressors.headlines(rows)]
    assert len(set(names)) == 2 and all("tiny" in name for name in names)
    with pytest.raises(InputError, match="no regressor is installed"):
        regressors.run([])


def test_the_fit_finds_known_bodies_again():
    person = load_body("neutral")
    figures = fit.measure(reconstructors(person, "none"), SyntheticBenchmark(person, 64, ("usual",)), people=3)
    # The detector's errors and unknown depth leave some 70 mm; a body at rest is 200 mm away and more.
    assert figures["fit"]["pa_mpjpe_mm"] < 120
    time, error = fit.headlines(figures)
    assert time.value == figures["fit"]["milliseconds"] > 0 and error.unit == "mm"


class Knowing:
    """A method that gives every person's true joints."""

    def __init__(self, data) -> None:
        self.data, self.asked = data, iter([0, 0, 1])  # the first call is the warming up

    def embody(self, image, found, camera):
        sample = self.data[next(self.asked)]
        rows = [sample.joints.index(name) for name in joint_set("lsp14")]
        return [SimpleNamespace(joints=lambda name: sample.joints_3d[rows, :3])]


def test_errors_and_times_of_the_fit_are_those_of_each_person(monkeypatch):
    data = SyntheticBenchmark(load_body("neutral"), 64, ("usual",))
    clock = iter([0.0, 0.5, 7.0, 7.5])  # before and after each person
    monkeypatch.setattr(fit, "perf_counter", lambda: next(clock))
    (row,) = fit.measure({"truth": Knowing(data)}, data, people=2).values()
    assert row["pa_mpjpe_mm"] < 0.01 and row["milliseconds"] == 500


def test_photo_is_measured_step_by_step(monkeypatch, capsys):
    monkeypatch.setattr(photo, "_fresh", lambda path, processes: {"wall_ms": 2.0, "processor_ms": 1.0})
    figures = photo.run(rounds=1)
    printed = capsys.readouterr().out
    assert figures["people"] == 1 and all(name.strip() in printed for name in figures["steps"])
    assert all(row["wall_ms"] > 0 for row in figures["steps"].values())
    assert [line.value for line in photo.headlines(figures)] == [figures["steps"][photo.WHOLE]["processor_ms"], 1.0]
