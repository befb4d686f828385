"""Write a network or a body as an ONNX file, which runs without torch, and compare the two.

Example: meshrec export-onnx proxy proxy.onnx
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from meshrec.errors import say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "what", help="keypoints, proxy, graph or a checkpoint file; or body, for a body with its skinning"
    )
    parser.add_argument("target", type=Path, help=".onnx")
    parser.add_argument(
        "--body", default="neutral", help="the body, or that of a checkpoint: neutral, male, female, or a file"
    )
    parser.add_argument("--axis-angle", action="store_true", help="give a body its pose as axis-angle, not as matrices")


def run(options: Namespace) -> None:
    from meshrec.body import load_body
    from meshrec.errors import InputError
    from meshrec.export.onnx_files import require_onnx
    from meshrec.files.atomic import known_suffix

    known_suffix(options.target, [".onnx"])
    require_onnx()
    body = load_body(options.body)
    if options.what == "body":
        from meshrec.export.onnx_files import export_body

        done = export_body(options.target, body, options.axis_angle)
    else:
        from meshrec.regress.onnx_export import export_named

        if options.axis_angle:
            raise InputError("--axis-angle is for a body; networks return rotation matrices")
        done = export_named(options.target, options.what, body)
    where = options.target if done.weights is None else f"{options.target} and {done.weights.name}"
    say(f"{where}: {done.size / 1e6:.1f} MB, opset {done.opset}")
    for label, table in (("in", done.inputs), ("out", done.outputs)):
        shapes = (f"{name} ({', '.join(['B', *map(str, shape)])})" for name, shape in table.items())
        say(f"  {label}: {', '.join(shapes)}")
    say(f"  largest difference between ONNX Runtime and torch: {done.difference:.1e}")
