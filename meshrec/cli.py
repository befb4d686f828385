"""The ``meshrec`` command: argument parsing only; each command calls one function of the floors below.

Exit codes: 0 done, 1 the input was wrong or the work failed (one sentence says why), 2 the command line was wrong.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import meshrec
from meshrec.benchmarks import BENCHMARKS
from meshrec.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    # Idle worker threads that spin steal the cores from the others; must be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options = _parsed(arguments)
    try:
        return options.run(options) or 0
    except InputError as error:
        _complain(error)
        return 1
    except KeyboardInterrupt:
        print("meshrec: interrupted; what was finished is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone, as in `meshrec ... | head`: nothing to say, and nobody to say it to.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 0
    except OSError as error:  # what the system refuses where no function below could say it better
        _complain(f"{error.filename}: {error.strerror}" if error.filename else error)
        return 1


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options, left = parser.parse_known_args(arguments)
    if "changes" in options:  # argparse takes words of one place alone; changes may stand between options
        options.changes += [word for word in left if "=" in word and not word.startswith("-")]
        left = [word for word in left if word not in options.changes]
    if left:
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meshrec",
        description="A photo of people goes in, posed 3D body meshes in SMPL's format come out.",
        epilog="Example: meshrec reconstruct photo.jpg --out out",
    )
    parser.add_argument("--version", action="version", version=f"meshrec {meshrec.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (
        _add_reconstruct,
        _add_export,
        _add_body,
        _add_convert_body,
        _add_import_checkpoint,
        _add_models,
        _add_train,
        _add_evaluate,
        _add_benchmark,
        _add_doctor,
    ):
        add(commands)
    return parser


def _command(commands, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=summary, description=summary, epilog=f"Example: {example}")


def _add_reconstruct(commands) -> None:
    parser = _command(
        commands,
        "reconstruct",
        "Turn photos into posed 3D bodies: meshes, parameters, a scene, and a picture of them on the photo.",
        "meshrec reconstruct holiday/ portrait.jpg --out out --jobs 2",
    )
    parser.add_argument("photos", nargs="+", help="photo files, folders, or patterns such as 'holiday/**/*.jpg'")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into; each photo gets a folder in it")
    parser.add_argument("--format", default="obj,glb", help="of obj, ply, glb, separated by commas (default: obj,glb)")
    parser.add_argument("--skinned", action="store_true", help="give the .glb a skeleton that poses it")
    parser.add_argument("--body", default="neutral", help="neutral, male, female, or an SMPL file (default: neutral)")
    parser.add_argument("--focal", type=float, help="focal length in pixels (default: EXIF, else 55 degrees of view)")
    people = parser.add_mutually_exclusive_group()
    people.add_argument("--boxes", type=Path, help='boxes of the people: {"photo.jpg": [[x0, y0, x1, y1], ...]}')
    people.add_argument("--keypoints", type=Path, help="2D keypoints: OpenPose JSON, a folder of it, or COCO JSON")
    parser.add_argument("--pose-model", type=Path, help="a MediaPipe .task file (default: the networks in its wheel)")
    parser.add_argument("--regressor", help="keypoints, proxy, graph, a checkpoint file, or none (default: the best)")
    parser.add_argument("--no-refine", action="store_true", help="keep the regressor's bodies as they are, without fit")
    parser.add_argument("--device", default="cpu", help="where to compute: cpu or cuda (default: cpu)")
    parser.add_argument("--jobs", type=int, default=1, help="photos to work on at a time, about 1 GB each (default: 1)")
    parser.add_argument("--force", action="store_true", help="also do photos that are finished")
    parser.set_defaults(run=_run_reconstruct)


def _run_reconstruct(options: argparse.Namespace) -> int:
    from meshrec.batch import Settings, plan_run, reconstruct_photos
    from meshrec.progress import show_progress

    settings = Settings(
        body=options.body,
        device=options.device,
        formats=tuple(_names(options.format)),
        skinned=options.skinned,
        focal=options.focal,
        boxes=options.boxes,
        keypoints=options.keypoints,
        pose_model=options.pose_model,
        regressor=options.regressor,
        refine=not options.no_refine,
    )
    plan = plan_run(options.photos, options.out, settings, options.force)
    work = reconstruct_photos(plan.jobs, settings, options.jobs)
    outcomes = show_progress(plan.outcomes, work, len(plan.jobs))
    failures = [outcome.error for outcome in outcomes if outcome.error is not None]
    for error in failures:
        _complain(error)
    return 1 if failures else 0


def _add_export(commands) -> None:
    parser = _command(
        commands,
        "export",
        "Rebuild meshes from parameter files.",
        "meshrec export out/photo.jpg/person_0.json --format ply,glb --skinned",
    )
    parser.add_argument("parameters", nargs="+", type=Path, help=".json or .npz files of people")
    parser.add_argument("--out", type=Path, help="folder to write into (default: beside each file)")
    parser.add_argument("--format", default="obj,glb", help="of obj, ply, glb, json, npz (default: obj,glb)")
    parser.add_argument("--skinned", action="store_true", help="give the .glb a skeleton that poses it")
    parser.add_argument("--body", help="the body they were made with (default: the one each file names)")
    parser.set_defaults(run=_run_export)


def _run_export(options: argparse.Namespace) -> None:
    from meshrec.person import export_people

    for path in export_people(options.parameters, _names(options.format), options.out, options.body, options.skinned):
        print(path)


def _add_body(commands) -> None:
    parser = _command(
        commands,
        "body",
        "Write a body in a few poses as meshes, and a picture of them.",
        "meshrec body --out out --body neutral --poses 't-pose,running' --format obj,glb",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--body", default="neutral", help="neutral, male, female, or an SMPL file (default: neutral)")
    parser.add_argument("--poses", default=None, help="names of poses, separated by commas (default: all)")
    parser.add_argument("--betas", default="", help="shape coefficients, separated by commas (default: mean shape)")
    parser.add_argument("--format", default="obj,glb", help="of obj, ply, glb, separated by commas (default: obj,glb)")
    parser.set_defaults(run=_run_body)


def _run_body(options: argparse.Namespace) -> None:
    from meshrec.showcase import write_showcase

    poses = _names(options.poses) if options.poses is not None else None
    for path in write_showcase(options.out, options.body, poses, _numbers(options.betas), _names(options.format)):
        print(path)


def _add_convert_body(commands) -> None:
    parser = _command(
        commands,
        "convert-body",
        "Convert an SMPL file, chumpy pickles included, to a plain file without pickles.",
        "meshrec convert-body SMPL_NEUTRAL.pkl body_models/smpl_neutral.npz",
    )
    parser.add_argument("source", type=Path, help=".pkl, .npz or .safetensors")
    parser.add_argument("target", type=Path, help=".npz or .safetensors")
    parser.set_defaults(run=_run_convert_body)


def _run_convert_body(options: argparse.Namespace) -> None:
    from meshrec.body import read_body, write_body

    body = read_body(options.source)
    write_body(body, options.target)
    vertices, _, betas = body.shapedirs.shape
    print(f"{options.target}: {vertices} vertices, {len(body.faces)} faces, {betas} betas, hash {body.hash}")


def _add_import_checkpoint(commands) -> None:
    parser = _command(
        commands,
        "import-checkpoint",
        "Convert published weights of SPIN, HMR (PyTorch, MMHuman3D) or GraphCMR; nothing in the file is run.",
        "meshrec import-checkpoint model_checkpoint.pt spin.safetensors --body SMPL_NEUTRAL.pkl",
    )
    parser.add_argument("source", type=Path, help="the published .pt or .pth")
    parser.add_argument("target", type=Path, help=".safetensors")
    parser.add_argument("--body", required=True, help="the body it was trained with: SMPL's neutral one")
    parser.add_argument("--graph", type=Path, help="for GraphCMR: its mesh_downsampling.npz")
    parser.set_defaults(run=_run_import_checkpoint)


def _run_import_checkpoint(options: argparse.Namespace) -> None:
    from meshrec.body import load_body
    from meshrec.models.published import import_checkpoint

    checkpoint = import_checkpoint(options.source, options.target, load_body(options.body), options.graph)
    millions = sum(p.numel() for p in checkpoint.network.parameters()) / 1e6
    print(f"{options.target}: {checkpoint.architecture}, {millions:.1f} M parameters, body {checkpoint.body_hash}")


def _add_models(commands) -> None:
    parser = _command(
        commands,
        "models",
        "Print each network's parameters, floating-point operations, input, and latency on this CPU.",
        "meshrec models --threads 2",
    )
    parser.add_argument("--threads", type=int, default=None, help="threads to use (default: torch's)")
    parser.set_defaults(run=_run_models)


def _run_models(options: argparse.Namespace) -> None:
    from meshrec.benchmarks.models import summarize_models

    _use_threads(options.threads)
    summarize_models()


def _add_train(commands) -> None:
    parser = _command(
        commands,
        "train",
        "Train a network; the same command again goes on where it was interrupted.",
        "meshrec train --config configs/iterative_keypoints.yaml optimizer.rate=5e-4 --out runs/keypoints renders=null",
    )
    parser.add_argument("--config", action="append", required=True, help="YAML file; given again, it changes the first")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="change a key, anywhere in the line")
    parser.add_argument("--out", type=Path, help="folder of checkpoint and logs (default: the configuration's)")
    parser.set_defaults(run=_run_train)


def _run_train(options: argparse.Namespace) -> None:
    from dataclasses import replace
    from importlib.util import find_spec

    if missing := [name for name in ("lightning", "pydantic", "tensorboard") if find_spec(name) is None]:
        raise InputError(f"training needs {missing[0]}: pip install 'meshrec[train]'")
    from meshrec.training import load_config, train

    config = load_config(options.config, options.changes)
    print(train(config if options.out is None else replace(config, out=options.out)))


def _add_evaluate(commands) -> None:
    parser = _command(
        commands,
        "evaluate",
        "Measure how good a network, the fit, or both are on a data set; write tables, curves and the worst cases.",
        "meshrec evaluate --checkpoint keypoints --dataset synthetic --fit --out out/evaluation",
    )
    parser.add_argument("--checkpoint", required=True, help="a shipped network's name, a .safetensors, or none")
    parser.add_argument(
        "--dataset",
        required=True,
        help="synthetic, or FORM:PATH with spin, coco, 3dpw, lspe, multiview, shards; "
        "h36m-p1, h36m-p2, 3dpw-test are scored as published",
    )
    parser.add_argument(
        "--pictures", type=Path, help="folder of the pictures (spin, coco, 3dpw and what builds on them)"
    )
    parser.add_argument("--body", default="neutral", help="the body it was trained with (default: neutral)")
    for body in ("neutral", "male", "female"):
        parser.add_argument(f"--{body}", help=f"the SMPL file that the data set's {body} betas belong to")
    parser.add_argument(
        "--detections",
        help="detector, simulated, labels, or an earlier run's detections.npz (default: simulated for "
        "synthetic, else detector)",
    )
    parser.add_argument("--fit", action="store_true", help="refine the network's estimates; alone without a network")
    parser.add_argument("--joints", help="joint set to score, such as lsp14, h36m17 or smpl24 (default: lsp14)")
    parser.add_argument(
        "--h36m-regressor", type=Path, help="J_regressor_h36m.npy, by which published numbers are taken"
    )
    parser.add_argument("--limit", type=int, help="at most so many people, evenly spread")
    parser.add_argument("--no-mirror", action="store_true", help="do not average with the mirror image's estimate")
    parser.add_argument("--device", default="cpu", help="where the network runs: cpu or cuda (default: cpu)")
    parser.add_argument("--threads", type=int, default=None, help="threads to use (default: torch's)")
    parser.add_argument(
        "--out", type=Path, help="folder for report.json, rows.csv, worst.png and, with matplotlib, pck.png"
    )
    parser.set_defaults(run=_run_evaluate)


def _run_evaluate(options: argparse.Namespace) -> None:
    from meshrec.atomic import require_writable
    from meshrec.evaluation import evaluate, print_report, write_report

    _use_threads(options.threads)
    if options.out is not None:
        require_writable(options.out / "report.json")
    report = evaluate(
        None if options.checkpoint == "none" else options.checkpoint,
        options.dataset,
        body=options.body,
        pictures=options.pictures,
        bodies={name: getattr(options, name) for name in ("neutral", "male", "female") if getattr(options, name)},
        detections=options.detections,
        fit=options.fit,
        joints=options.joints,
        limit=options.limit,
        mirror=not options.no_mirror,
        h36m_regressor=options.h36m_regressor,
        device=options.device,
        progress=True,
    )
    print_report(report)
    if options.out is not None:
        for path in write_report(report, options.out):
            print(path)


def _add_benchmark(commands) -> None:
    parser = _command(
        commands,
        "benchmark",
        "Measure speed on this machine, against other libraries where they are installed, and accuracy on photos.",
        "meshrec benchmark --json today.json",
    )
    task = parser.add_mutually_exclusive_group()
    task.add_argument("what", nargs="?", choices=BENCHMARKS, help="what to measure (default: all that can run here)")
    task.add_argument(
        "--compare", nargs=2, type=Path, metavar=("OLD", "NEW"), help="compare two --json files, measuring nothing"
    )
    parser.add_argument("--data", type=Path, help="for photos: folder of multiview/ and lspe/ (default: ../shared)")
    parser.add_argument("--regressor", help="for photos: keypoints, proxy, graph, a file, or none (default: the best)")
    parser.add_argument("--threads", type=int, default=None, help="threads to use (default: torch's)")
    parser.add_argument("--json", type=Path, default=None, help="also write all figures and the machine to this file")
    parser.set_defaults(run=_run_benchmark)


def _run_benchmark(options: argparse.Namespace) -> None:
    if options.compare:
        from meshrec.benchmarks.headlines import compare

        return compare(*options.compare)
    from meshrec.benchmarks.suite import run_suite

    _use_threads(options.threads)
    if options.what not in (None, "photos"):
        for name in ("data", "regressor"):
            if getattr(options, name) is not None:
                raise InputError(f"--{name} is for the benchmark of photos")
    run_suite(options.what, options.data, options.regressor, options.json)


def _add_doctor(commands) -> None:
    parser = _command(
        commands,
        "doctor",
        "Print what is installed and whether it works, to paste into a bug report; exit code 1 if something is wrong.",
        "meshrec doctor",
    )
    parser.set_defaults(run=_run_doctor)


def _run_doctor(options: argparse.Namespace) -> int:
    from meshrec.doctor import report

    return 0 if report() else 1


def _use_threads(count: int | None) -> None:
    import torch

    if count is not None:
        if count < 1:
            raise InputError(f"--threads must be at least 1, not {count}")
        torch.set_num_threads(count)


def _complain(sentence: object) -> None:
    """One line, whatever the names and files in it hold: a terminal obeys control characters."""
    print("meshrec:", "".join(c if c.isprintable() else "?" for c in str(sentence)), file=sys.stderr)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in _names(text)]
    except ValueError:
        raise InputError(f"'{text}' should be numbers separated by commas") from None


if __name__ == "__main__":
    sys.exit(main())
