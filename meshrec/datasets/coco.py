"""Reader of 2D keypoints in JSON: annotations and results of COCO and COCO-WholeBody, and OpenPose's files.

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
from meshrec.files.picture import Picture

SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, eq=False)
class KeypointSamples:
    """The people of one file.

    Attributes:
        path: The keypoint file, or the folder of OpenPose files.
        folder: Folder of the pictures.
        people: The name of each person's picture, and the person's box and keypoints in its pixels.
    """

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
        path: A COCO file, an OpenPose file, or a folder of OpenPose files.
        folder: Folder of the pictures.
        least_keypoints: Least number of labelled keypoints; people with fewer are left out.

    Raises:
        InputError: The file has another format, the labels of a person are damaged (the message names the person), or
            nobody is left.
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
    """The file of a picture, whose suffix OpenPose's files and COCO's results leave out."""
    if path.suffix.lower() in SUFFIXES:
        return path
    return next((file for s in SUFFIXES if (file := path.with_name(path.name + s)).exists()), path)
