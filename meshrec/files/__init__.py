"""Reading and writing files: atomic writes, untrusted archives and pickles, photos, clips and pictures of datasets."""

from meshrec.files.atomic import known_suffix, write_file
from meshrec.files.clips import Clip, Frame, is_clip, open_clip
from meshrec.files.npz import read_npz
from meshrec.files.photos import Photo, as_photo, read_photo
from meshrec.files.videos import VideoWriter

__all__ = [
    "Clip",
    "Frame",
    "Photo",
    "VideoWriter",
    "as_photo",
    "is_clip",
    "known_suffix",
    "open_clip",
    "read_npz",
    "read_photo",
    "write_file",
]
