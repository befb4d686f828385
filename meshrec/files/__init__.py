"""Reading and writing files: atomic writes, untrusted archives and pickles, photos and pictures of datasets."""

from meshrec.files.atomic import known_suffix, write_file
from meshrec.files.npz import read_npz
from meshrec.files.photos import Photo, as_photo, read_photo

__all__ = ["Photo", "as_photo", "known_suffix", "read_npz", "read_photo", "write_file"]
