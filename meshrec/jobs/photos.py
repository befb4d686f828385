"""The reconstruction of one photo of a run."""

from collections.abc import Sequence
from dataclasses import replace

from meshrec.files import Photo, read_photo
from meshrec.files.atomic import require_writable
from meshrec.fit.gravity import GravitySettings
from meshrec.jobs.plan import Job, Outcome
from meshrec.jobs.results import RECORD, write_results
from meshrec.jobs.settings import Settings
from meshrec.reconstruct.ground import Ground
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.reconstructor import Reconstructor


def reconstruct_photo(job: Job, reconstructor: Reconstructor, settings: Settings) -> Outcome:
    """Reconstruct everyone in a photo, and write the files that :mod:`meshrec.jobs.results` lists.

    Raises:
        InputError: The photo cannot be read, the settings do not fit it, or its folder cannot be written to.
    """
    photo = read_photo(job.source)
    require_writable(job.folder / RECORD)  # before the work, not after it
    height = settings.height[0] if settings.height is not None and len(settings.height) == 1 else settings.height
    people = reconstructor(photo, boxes=job.boxes, keypoints=job.people, focal=settings.focal, height=height)
    ground = None
    if settings.ground and people:
        known = GravitySettings() if height is None else GravitySettings(stature=0.0)
        ground = Ground.under(people, known)
    notes = _notes(photo, job, people)
    photo, form = replace(photo, notes=notes), (settings.formats, settings.skinned)
    write_results(job.folder, photo, people, *form, job.request, ground, settings.texture)
    return Outcome(job.source, job.folder, len(people), notes=notes)


def _notes(photo: Photo, job: Job, people: Sequence[Person]) -> tuple[str, ...]:
    """What the user should know of the results of a photo."""
    notes = [*photo.notes]
    if job.boxes is not None and len(people) < len(job.boxes):
        notes.append(f"{len(job.boxes) - len(people)} of {len(job.boxes)} boxes show nobody")
    notes += [f"person_{number}: {note}" for number, person in enumerate(people) for note in person.notes]
    return tuple(notes)
