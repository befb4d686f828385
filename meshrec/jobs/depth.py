"""The reconstruction of one depth map of a run."""

from meshrec.errors import InputError
from meshrec.files import Photo
from meshrec.files.atomic import require_writable
from meshrec.files.depth_maps import read_depth
from meshrec.jobs.plan import Job, Outcome
from meshrec.jobs.results import RECORD, write_results
from meshrec.jobs.settings import Settings
from meshrec.reconstruct.depth import depth_camera
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.render.depth_colors import colored_depth


def reconstruct_depth(job: Job, reconstructor: Reconstructor, settings: Settings) -> Outcome:
    """Reconstruct the person in a depth map, or the one in each box, and write the files of a photo's results.

    The picture of the overlay is the map in colours.

    Raises:
        InputError: The map cannot be read, shows nobody, or its folder cannot be written to.
    """
    if job.clip:
        raise InputError(f"{job.source}: this is a clip; --depth takes single depth maps.")
    seen = read_depth(job.source, settings.depth_unit)
    require_writable(job.folder / RECORD)  # before the work, not after it
    camera = depth_camera(seen.depth, settings.focal, None, job.source)
    people = reconstructor.depth(seen.depth, camera=camera, boxes=job.boxes, unit=1.0)
    notes = []
    if job.boxes is not None and len(people) < len(job.boxes):
        notes.append(f"{len(job.boxes) - len(people)} of {len(job.boxes)} boxes show nobody")
    notes += [f"person_{number}: {note}" for number, person in enumerate(people) for note in person.notes]
    photo = Photo(colored_depth(seen.depth), settings.focal, seen.path, tuple(notes), seen.fingerprint)
    write_results(job.folder, photo, people, settings.formats, settings.skinned, job.request)
    return Outcome(job.source, job.folder, len(people), notes=tuple(notes))
