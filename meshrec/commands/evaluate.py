"""Measure the errors of networks, of the fit, or of the detector on a data set; write tables, curves and worst cases.

Example: meshrec evaluate --checkpoint keypoints --dataset synthetic --fit --out out/evaluation
"""

from argparse import ArgumentParser, Namespace
from contextlib import nullcontext
from pathlib import Path

from meshrec.commands.options import numbers, use_threads
from meshrec.errors import InputError, say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint",
        required=True,
        nargs="+",
        help="a shipped network's name, a .safetensors, none (with --fit: the fit alone) or detector (the detector's "
        "own joints); several are compared on the same detections",
    )
    parser.add_argument(
        "--network",
        default="",
        help="import path of your own network that a checkpoint holds, such as my_package.my_module:MyNetwork; "
        "the module is imported, so name only code that you trust",
    )
    parser.add_argument(
        "--dataset",
        required=True,
        help="synthetic, synthetic-dressed (the same people with masks in clothes), or FORMAT:PATH with the formats "
        "spin, coco, 3dpw, lspe, multiview, shards, mpi-inf-3dhp, h36m, mpii, surreal, densepose, humaneva, or with "
        "the published protocols h36m-p1, h36m-p2, 3dpw-test",
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        help="folder of the pictures, for spin, coco, 3dpw, densepose and the published protocols",
    )
    parser.add_argument("--body", default="neutral", help="the body it was trained with (default: neutral)")
    for body in ("neutral", "male", "female"):
        parser.add_argument(f"--{body}", help=f"the SMPL file that the data set's {body} betas belong to")
    parser.add_argument(
        "--detections",
        help="detector, simulated, labels, or an earlier run's detections.npz (default: simulated for "
        "synthetic, else detector)",
    )
    parser.add_argument(
        "--fit",
        action="store_true",
        help="refine the network's estimates (of several networks, each is compared with and without); alone with none",
    )
    parser.add_argument(
        "--joints",
        help="joint set to score, such as lsp14, h36m17 or smpl24 (default: lsp14; its limbs, limb12, for lspe and "
        "multiview)",
    )
    parser.add_argument(
        "--h36m-regressor", type=Path, help="J_regressor_h36m.npy, which gives the joints of published figures"
    )
    parser.add_argument(
        "--clips",
        action="store_true",
        help="reconstruct the frames of each sequence together, as a clip, beside each frame alone",
    )
    parser.add_argument(
        "--views",
        help="fit one body in several calibrated cameras of multiview: how many, such as 2,3,4, or all",
    )
    parser.add_argument(
        "--uncalibrated",
        action="store_true",
        help="with --views, find the cameras from the person instead of taking them from the calibration",
    )
    parser.add_argument("--limit", type=int, help="largest number of people, evenly spread over the data set")
    parser.add_argument("--no-mirror", action="store_true", help="do not average with the mirror image's estimate")
    parser.add_argument("--device", default="cpu", help="where the network runs: cpu or cuda (default: cpu)")
    parser.add_argument("--threads", type=int, default=None, help="threads to use (default: torch's)")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for report.json, rows.csv, worst.png and, with matplotlib, pck.png; a folder each for several",
    )


def run(options: Namespace) -> None:
    from meshrec.files.folder_lock import locked

    with nullcontext() if options.out is None else locked(options.out):
        _evaluate(options)


def _evaluate_views(options: Namespace) -> None:
    from meshrec.datasets.multiview import read_multiview
    from meshrec.evaluation.uncalibrated import evaluate_uncalibrated, print_uncalibrated
    from meshrec.evaluation.views import evaluate_views, print_views
    from meshrec.reconstruct.reconstructor import Reconstructor

    kind, _, folder = options.dataset.partition(":")
    if kind != "multiview" or len(options.checkpoint) > 1:
        raise InputError("--views needs one checkpoint and a data set of calibrated cameras, multiview:FOLDER.")
    samples = read_multiview(folder)
    most = len(set(samples.cameras.tolist()))
    counts = range(2, most + 1) if options.views == "all" else [int(n) for n in numbers(options.views)]
    if not all(1 <= count <= most for count in counts):
        raise InputError(f"--views must be numbers of cameras from 1 to {most}, or all, not {options.views}.")
    reconstructor = Reconstructor(options.device, options.checkpoint[0], options.body)
    if options.uncalibrated:
        print_uncalibrated(evaluate_uncalibrated(reconstructor, samples, list(counts), progress=True))
        return
    print_views(evaluate_views(reconstructor, samples, list(counts), progress=True))


def _evaluate(options: Namespace) -> None:
    from meshrec.evaluation import compare, compare_clips, methods_of, print_comparison, print_report, write_report
    from meshrec.files.atomic import require_writable

    use_threads(options.threads)
    if options.uncalibrated and options.views is None:
        raise InputError("--uncalibrated needs --views, the numbers of cameras.")
    if options.views is not None:
        _evaluate_views(options)
        return
    methods = methods_of(options.checkpoint, options.fit, not options.no_mirror)
    single = len(methods) == 1 and not options.clips
    folders = []
    if options.out is not None:
        names = [method.folder for method in methods]
        names += [f"{name}-clips" for name in names] if options.clips else []
        folders = [options.out] if single else [options.out / name for name in names]
    for folder in folders:
        require_writable(folder / "report.json")
    reports = (compare_clips if options.clips else compare)(
        methods,
        options.dataset,
        body=options.body,
        pictures=options.pictures,
        bodies={name: getattr(options, name) for name in ("neutral", "male", "female") if getattr(options, name)},
        detections=options.detections,
        joints=options.joints,
        limit=options.limit,
        h36m_regressor=options.h36m_regressor,
        device=options.device,
        progress=True,
        network=options.network,
    )
    if single:
        print_report(reports[0])
    else:
        print_comparison(reports)
    for folder, report in zip(folders, reports):
        for path in write_report(report, folder):
            say(path)
