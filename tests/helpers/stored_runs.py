"""Runs over photos in stores, with a reconstructor that takes no time, and their files beside those of local runs."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from meshrec import Camera, Person, load_body
from meshrec.geometry import CAMERA_TO_Y_UP
from meshrec.poses.named_poses import named_pose

SIZE = (320, 240)
SOURCE = {"path", "modified", "changed"}  # keys of a record that differ between a store and a disk


class FakeReconstructor:
    """Finds one person in every photo, and notes what it was given."""

    def __init__(self) -> None:
        self.body, self.seen = load_body("neutral"), []

    def __call__(self, photo, **given):
        self.seen.append((photo.image.mean(), given))
        turns = named_pose("arms down").numpy().copy()
        turns = np.concatenate([CAMERA_TO_Y_UP.numpy()[None], turns])
        camera = Camera(400.0, size=SIZE)
        return [Person(self.body, np.zeros(10), turns, np.array([0.0, 0.2, 4.0]), camera, score=0.5)]


def photo(brightness: int = 90) -> bytes:
    file = BytesIO()
    Image.new("RGB", SIZE, (brightness, 120, 140)).save(file, "PNG")
    return file.getvalue()


def on_disk(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pictures(video: bytes) -> np.ndarray:
    import av

    with av.open(BytesIO(video)) as opened:
        return np.stack([frame.to_ndarray() for frame in opened.decode(video=0)])


def same_results(found: dict[str, bytes], expected: dict[str, bytes], prefix: str) -> None:
    """Require the same files byte for byte, but that records tell the source in the store.

    Of videos the pictures are the same: the encoder's threads do not always write them in the same number of bytes.
    """
    assert found.keys() == expected.keys()
    for name, content in expected.items():
        if name.endswith(("photo.json", "clip.json")):
            key = "photo" if name.endswith("photo.json") else "clip"
            ours, theirs = json.loads(found[name]), json.loads(content)
            assert ours[key]["path"] == f"{prefix}/{name.rpartition('/')[0]}"
            assert found[name] == (json.dumps(ours, indent=2) + "\n").encode()
            ours[key] = {k: v for k, v in ours[key].items() if k not in SOURCE | {"etag"}}
            theirs[key] = {k: v for k, v in theirs[key].items() if k not in SOURCE}
            for record in (ours, theirs):
                record["files"].pop("overlay.mp4", None)
            assert ours == theirs
        elif name.endswith(".mp4"):
            assert np.array_equal(pictures(found[name]), pictures(content)), name
        else:
            assert found[name] == content, name
