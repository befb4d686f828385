"""The work on one photo or clip of a run, whose failure is an outcome like any other."""

from collections.abc import Iterator

from meshrec.detect import load_detector
from meshrec.errors import MeshrecError
from meshrec.jobs.clips import reconstruct_clip
from meshrec.jobs.depth import reconstruct_depth
from meshrec.jobs.photos import reconstruct_photo
from meshrec.jobs.plan import AnyJob, Outcome, Progress, RemoteJob, sentence
from meshrec.jobs.remote import work_in_store
from meshrec.jobs.settings import Settings
from meshrec.reconstruct.photo_textures import require_uv
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.regress.weights import NONE


def make_reconstructor(settings: Settings) -> Reconstructor:
    """Make the reconstructor of a run.

    The detector is loaded at once, so that one error ends the run if it is missing, and not one for each photo.

    Raises:
        InputError: The body, the device, the regressor, the detector or the network for fields of view is wrong, or the
            body can have no texture.
        MissingDependency: The detector's package is not installed.
    """
    if settings.depth:
        return Reconstructor(settings.device, NONE, settings.body)
    detector = load_detector(settings.pose_model) if settings.keypoints is None else None
    reconstructor = Reconstructor(
        settings.device, settings.regressor, settings.body, detector, settings.refine, settings.focal_network
    )
    if settings.texture:
        require_uv(reconstructor.body, settings.body)
    return reconstructor


def work_on(job: AnyJob, reconstructor: Reconstructor, settings: Settings) -> Iterator[Outcome | Progress]:
    """Reconstruct everyone in a photo or clip, and write the results.

    Yields:
        How far a clip is, now and then; at last the outcome.
    """
    try:
        if isinstance(job, RemoteJob):
            yield from work_in_store(job, lambda local: work_on(local, reconstructor, settings))
        elif settings.depth:
            yield reconstruct_depth(job, reconstructor, settings)
        elif job.clip:
            yield from reconstruct_clip(job, reconstructor, settings)
        else:
            yield reconstruct_photo(job, reconstructor, settings)
    except MeshrecError as error:
        yield Outcome(job.source, job.folder, error=sentence(job.source, error), clip=job.clip)
    except Exception as error:  # a bug that one file triggers must not end the work on the others
        reason = f"unexpected {type(error).__name__} ({error}); this is a bug in meshrec, please report it."
        yield Outcome(job.source, job.folder, error=f"{job.source}: {reason}", clip=job.clip)
