"""Reader of 2D keypoints in JSON: annotations and results of COCO and COCO-WholeBody, and files of OpenPose and others.

:mod:`meshrec.detect.inputs` describes the fields and checks them. Labelled keypoints have a confidence of 1, whether
hidden or not. The crop follows from a person's ``bbox`` or, where there is none, from the keypoints.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meshrec.body.joints import joint_set
from meshrec.data.sample import Sample, box_crop, person_sample
from meshrec.detect.inputs import read_keypoints
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.files.names import find_picture
from meshrec.files.picture import Picture

SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, eq=False)
class KeypointSamples:
    """The people of one file.

    Attributes:
        path: The keypoint file, or the folder of OpenPose files.
        folder: Folder of the pictures.
        people: The name of each person's picture, and the person's box and keypoints in its pixels.
        notes: Remarks for the user, on what was left out of the file.
    """

    path: Path
    folder: Path
    people: list[tuple[str, Detection]]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.people)

    def __getitem__(self, index: int) -> Sample:
        picture, person = self.people[index]
        return person_sample(
            name=f"{self.path.name} person {index} ({picture})",
            image=Picture(find_picture(self.folder, picture, ("", *SUFFIXES))),
            crop=box_crop(person.box),
            joints=joint_set(person.joint_set),
            keypoints_2d=person.keypoints,
        )


def read_coco(path: str | Path, folder: str | Path, least_keypoints: int = 6) -> KeypointSamples:
    """Read people from keypoint JSON.

    Args:
        path: A file of COCO, OpenPose, AlphaPose, MMPose or AI Challenger, or a folder of files.
        folder: Folder of the pictures.
        least_keypoints: Least number of labelled keypoints; people with fewer are left out.

    Raises:
        InputError: The file has another format, the labels of a person are damaged (the message names the person), or
            nobody is left.
    """
    path = Path(path)
    by_photo = read_keypoints(path)
    if by_photo.errors:
        raise next(iter(by_photo.errors.values()))
    people = [
        (picture, person)
        for picture, found in by_photo.items()
        for person in found
        if np.count_nonzero(person.keypoints[:, 2]) >= least_keypoints
    ]
    if not people:
        raise InputError(f"{path}: nobody in this file has {least_keypoints} keypoints.")
    for number, (picture, person) in enumerate(people):
        if (person.box[2:] <= person.box[:2]).all():
            raise InputError(f"{path}: the bbox of person {number} ({picture}) is empty.")
    return KeypointSamples(path, Path(folder), people, by_photo.notes(path))
