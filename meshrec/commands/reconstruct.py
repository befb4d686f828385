"""Turn photos and clips of people into posed 3D bodies: meshes, animations, parameters, a scene, and pictures of them.

Example: meshrec reconstruct holiday/ portrait.jpg dance.mp4 --out out --jobs 2
"""

from argparse import ArgumentParser, Namespace
from contextlib import nullcontext
from pathlib import Path

from meshrec.commands.options import focal_option, names, numbers, offsets_of
from meshrec.errors import InputError, complain, say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        nargs="+",
        help="photos, videos, folders of them, or patterns such as 'holiday/**/*.jpg', also in object stores: "
        "'s3://bucket/holiday/**/*.jpg'",
    )
    parser.add_argument(
        "--out",
        type=_folder,
        required=True,
        help="folder to write into, or its address in an object store; each file gets a folder in it",
    )
    parser.add_argument("--format", default="obj,glb", help="of obj, ply, glb, separated by commas (default: obj,glb)")
    parser.add_argument("--skinned", action="store_true", help="give everyone in .glb files a skeleton that poses them")
    parser.add_argument("--texture", action="store_true", help="lay the photo on the skin it shows, in .obj and .glb")
    parser.add_argument("--body", default="neutral", help="neutral, male, female, or an SMPL file (default: neutral)")
    parser.add_argument(
        "--focal",
        help="focal length in pixels, or the .safetensors file of a network that estimates it where EXIF does not tell "
        "it (default: EXIF, else 55 degrees of view)",
    )
    people = parser.add_mutually_exclusive_group()
    people.add_argument("--boxes", type=Path, help='boxes of the people: {"photo.jpg": [[x0, y0, x1, y1], ...]}')
    people.add_argument("--keypoints", type=Path, help="2D keypoints: JSON of OpenPose, COCO, AlphaPose or MMPose")
    parser.add_argument("--keypoint-layout", help="their order, such as aic14 (default: by their number and names)")
    parser.add_argument("--pose-model", type=Path, help="a MediaPipe .task file (default: the shipped networks)")
    parser.add_argument("--regressor", help="keypoints, proxy, graph, a checkpoint file, or none (default: the best)")
    parser.add_argument("--no-refine", action="store_true", help="keep the regressor's bodies as they are, without fit")
    parser.add_argument(
        "--ground",
        action="store_true",
        help="write meshes and scene with y up against gravity, feet on a floor at y = 0",
    )
    parser.add_argument(
        "--height",
        help="stature in metres: 1.80 of everyone, or 1.80,1.65 one a person, person_0 first (default: unknown)",
    )
    parser.add_argument("--device", default="cpu", help="where to compute: cpu or cuda (default: cpu)")
    parser.add_argument(
        "--jobs", type=int, help="files to work on at a time, 0.75 to 1.6 GB each (default: 1; with --ray all CPUs)"
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="work on the machines of a Ray cluster: host:port, or auto for the running one"
    )
    parser.add_argument("--force", action="store_true", help="also reconstruct what is finished")
    parser.add_argument(
        "--cameras",
        type=Path,
        help="calibration of the cameras of which the files are photos of one instant, or clips, fitted together. "
        "auto: there is none, and the cameras are found from the people",
    )
    parser.add_argument(
        "--offset",
        action="append",
        help="seconds by which a camera's clock is late, such as cam2=0.05; or auto: found by the motion (default: 0)",
    )
    parser.add_argument(
        "--unit", choices=("m", "cm", "mm"), help="unit of lengths in the calibration (default: the file's or format's)"
    )
    parser.add_argument(
        "--depth",
        action="store_true",
        help="the files are maps of a depth camera: 16-bit PNG or TIFF, 32-bit TIFF or .npy; they need --focal",
    )
    parser.add_argument(
        "--depth-unit",
        metavar="UNIT",
        help="unit of depth maps: metres, millimetres, or metres per unit such as 0.00025 (default: whole numbers are "
        "millimetres, others metres)",
    )
    clips = parser.add_argument_group("clips")
    clips.add_argument("--clip", action="store_true", help="each folder that is given holds the frames of one clip")
    clips.add_argument("--fps", type=float, help="frames per second to use (default: the clip's; of folders 30)")
    clips.add_argument("--stride", type=int, default=1, help="use every n-th frame (default: 1)")
    clips.add_argument("--start", type=float, help="seconds at which to begin (default: the clip's begin)")
    clips.add_argument("--end", type=float, help="seconds at which to end (default: the clip's end)")
    clips.add_argument("--people", type=int, help="keep so many people: those seen longest and largest (default: all)")
    clips.add_argument("--smooth", type=float, default=0.5, help="smoothness of motions, from 0 to 1 (default: 0.5)")
    clips.add_argument("--static", action="store_true", help="the camera stands still (default: its turns are found)")


def _folder(text: str) -> "Path | str":
    """A folder's path, or its address in a store, which is no path."""
    from meshrec.files.addresses import is_address

    return text if is_address(text) else Path(text)


def run(options: Namespace) -> int:
    from meshrec.files.addresses import is_address
    from meshrec.files.depth_maps import depth_unit
    from meshrec.files.folder_lock import locked
    from meshrec.jobs.picture_page import page_of_results
    from meshrec.jobs.plan import plan_run
    from meshrec.jobs.progress import show_progress
    from meshrec.jobs.remote_page import results_folder
    from meshrec.jobs.remote_plan import plan_in_stores, scratch_folder
    from meshrec.jobs.run import run_jobs
    from meshrec.jobs.settings import Settings
    from meshrec.reconstruct.clips import ClipSettings

    focal, focal_network = focal_option(options.focal)
    settings = Settings(
        body=options.body,
        device=options.device,
        formats=tuple(names(options.format)),
        skinned=options.skinned,
        texture=options.texture,
        focal=focal,
        focal_network=focal_network,
        boxes=options.boxes,
        keypoints=options.keypoints,
        keypoint_layout=options.keypoint_layout,
        pose_model=options.pose_model,
        regressor=options.regressor,
        refine=not options.no_refine,
        ground=options.ground,
        height=None if options.height is None else tuple(numbers(options.height)),
        clip=ClipSettings(
            options.start,
            options.end,
            options.stride,
            options.fps,
            options.people,
            options.smooth,
            options.static,
        ),
        folders_are_clips=options.clip,
        depth=options.depth,
        depth_unit=depth_unit(options.depth_unit),
    )
    remote = any(map(is_address, (*options.sources, options.out)))
    if options.cameras is not None:
        if options.depth:
            raise InputError("--cameras is for photos and clips; leave it out, or leave out --depth.")
        if remote:
            raise InputError("--cameras takes files and a folder on a disk; copy them from their store first.")
        if options.texture:
            raise InputError("--texture is for photos of one camera; leave it out, or leave out --cameras.")
        if options.ray is not None:
            raise InputError("--ray is for many photos and clips; several cameras are fitted together on one machine.")
        from meshrec.jobs.camera_clips import CameraClipsJob, are_clips, reconstruct_camera_clips
        from meshrec.jobs.cameras import reconstruct_instant
        from meshrec.jobs.work import make_reconstructor

        files, offsets = [Path(source) for source in options.sources], offsets_of(options.offset)
        if are_clips(files):
            job = CameraClipsJob(
                files, options.cameras, options.out, settings, options.unit, offsets, force=options.force
            )
            with locked(options.out), page_of_results(options.out):
                show_progress([], reconstruct_camera_clips(job, make_reconstructor), 1)
            return 0
        if offsets is not None:
            raise InputError("--offset is for clips; photos of several cameras are of one instant.")
        with locked(options.out), page_of_results(options.out):
            reconstructor = make_reconstructor(settings)
            count = reconstruct_instant(files, options.cameras, options.out, settings, reconstructor, options.unit)
        say(f"{len(files)} cameras: {count} {'person' if count == 1 else 'people'} -> {options.out}")
        return 0
    if options.offset is not None:
        raise InputError("--offset is for clips of several cameras, which need --cameras.")
    with (
        results_folder(options.out) as watched,
        scratch_folder() if remote else nullcontext(Path()) as scratch,
    ):
        run_of = (options.sources, options.out, settings)
        plan = plan_in_stores(*run_of, scratch, options.force) if remote else plan_run(*run_of, options.force)
        work = watched(run_jobs(plan.jobs, settings, options.jobs, options.ray))
        outcomes = show_progress(plan.outcomes, work, len(plan.jobs), plan.notes)
    failures = [outcome.error for outcome in outcomes if outcome.error is not None]
    for error in failures:
        complain(error)
    return 1 if failures else 0
