"""Write a body in a few poses as meshes, and a picture of them; or find the pose and shape of a mesh.

Example: meshrec body --out out --body neutral --poses 't-pose,running' --format obj,glb
Example: meshrec body --from out/running.obj --out person.json
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from meshrec.commands.options import names, numbers
from meshrec.errors import InputError, say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write into; with --from the .json or .npz of the parameters"
    )
    parser.add_argument("--body", default="neutral", help="neutral, male, female, or an SMPL file (default: neutral)")
    parser.add_argument("--poses", default=None, help="names of poses, separated by commas (default: all)")
    parser.add_argument("--betas", default=None, help="shape coefficients, separated by commas (default: mean shape)")
    parser.add_argument("--format", default=None, help="of obj, ply, glb, separated by commas (default: obj,glb)")
    parser.add_argument(
        "--from",
        dest="mesh",
        type=Path,
        default=None,
        metavar="MESH",
        help="instead, fit pose and shape to this .obj or .ply, y up, with the body's vertices in their order",
    )
    parser.add_argument(
        "--correspondence",
        type=Path,
        default=None,
        metavar="NPZ",
        help="with --from: where the body's vertices lie on a mesh of other vertices (see docs/library.md)",
    )
    parser.add_argument(
        "--units-per-metre",
        type=float,
        default=None,
        metavar="N",
        help="with --from: 100 if the mesh is in centimetres, 1000 if in millimetres (default: 1)",
    )


def run(options: Namespace) -> None:
    if options.mesh is not None:
        return _run_from_mesh(options)
    from meshrec.jobs.showcase import write_showcase

    _refuse(options, "only goes with --from", "correspondence", "units_per_metre")
    poses = names(options.poses) if options.poses is not None else None
    formats = names(options.format) if options.format is not None else ["obj", "glb"]
    for path in write_showcase(options.out, options.body, poses, numbers(options.betas or ""), formats):
        say(path)


def _run_from_mesh(options: Namespace) -> None:
    from meshrec.jobs.mesh_parameters import write_mesh_parameters

    _refuse(options, "does not go with --from, which finds pose and shape", "poses", "betas", "format")
    units = 1.0 if options.units_per_metre is None else options.units_per_metre
    fit = write_mesh_parameters(options.mesh, options.out, options.body, options.correspondence, units)
    say(f"{fit.path}: {fit.mean_mm:.1f} mm from the mesh in the mean, {fit.largest_mm:.1f} mm at most")


def _refuse(options: Namespace, why: str, *given: str) -> None:
    """Refuse options that would be ignored."""
    for name in given:
        if getattr(options, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} {why}.")
