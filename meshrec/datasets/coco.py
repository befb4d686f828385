"""Reader of 2D keypoints as JSON: COCO's annotations and results, COCO-WholeBody, OpenPose's files.

:func:`meshrec.detect.inputs.read_keypoints` describes and checks the fields. A labelled keypoint has confidence 1,
hidden or not; a person's ``bbox`` gives the crop, the keypoints where there is none.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meshrec.body.joints import joint_set
from meshrec.data.sample import Sample, box_crop, person_sample
from meshrec.detect.inputs import read_keypoints
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.files.picture import Picture

SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, eq=False)
class KeypointSamples:
    """People of one file: which picture they are on, and what is known of them."""

    path: Path
    folder: Path
    people: list[tuple[str, Detection]]

    def __len__(self) -> int:
        return len(self.people)

    def __getitem__(self, index: int) -> Sample:
        picture, person = self.people[index]
        return person_sample(
            name=f"{self.path.name} person {index} ({picture})",
            image=Picture(_picture_file(self.folder / picture)),
            crop=box_crop(person.box),
            joints=joint_set(person.joint_set),
            keypoints_2d=person.keypoints,
        )


def read_coco(path: str | Path, folder: str | Path, least_keypoints: int = 6) -> KeypointSamples:
    """Read people from keypoint JSON.

    Args:
        path: A COCO file, an OpenPose file, or a folder of those.
        folder: Where the pictures are.
        least_keypoints: People with fewer are left out: of them a picture hardly tells a pose.

    Raises:
        InputError: The file is none of these, a person is damaged (the message names it), or nobody is left.
    """
    path = Path(path)
    people = [
        (picture, person)
        for picture, found in read_keypoints(path).items()
        for person in found
        if np.count_nonzero(person.keypoints[:, 2]) >= least_keypoints
    ]
    if not people:
        raise InputError(f"{path}: nobody in this file has {least_keypoints} keypoints.")
    for number, (picture, person) in enumerate(people):
        if (person.box[2:] <= person.box[:2]).all():
            raise InputError(f"{path}: the bbox of person {number} ({picture}) is empty.")
    return KeypointSamples(path, Path(folder), people)


def _picture_file(path: Path) -> Path:
    """OpenPose's files and COCO's results name pictures without their suffix."""
    if path.suffix.lower() in SUFFIXES:
        return path
    return next((file for s in SUFFIXES if (file := path.with_name(path.name + s)).exists()), path)
