"""Reading photos: every kind of file people have gives the same upright RGB, every broken one a clear sentence."""

import hashlib
import io
import math
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest
from helpers.bad_input.files import png
from PIL import ExifTags, Image

from meshrec.errors import InputError, MeshrecError, MissingDependency
from meshrec.files.photos import as_photo, read_photo


@pytest.fixture
def scene() -> np.ndarray:
    """(48, 64, 3) uint8: smooth, so that lossy formats keep it, and different in every corner."""
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([x * 4, y * 5, 255 - 2 * (x + y)], axis=-1).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("a.png", 0), ("a.bmp", 0), ("a.tif", 0), ("a.ppm", 0), ("a.jpg", 12), ("a.webp", 12), ("a.jp2", 12)],
)
def test_formats_give_the_pixels_that_were_written(tmp_path, scene, name, tolerance):
    Image.fromarray(scene).save(tmp_path / name)
    photo = read_photo(tmp_path / name)
    assert photo.image.dtype == np.uint8 and photo.image.flags.c_contiguous and photo.image.flags.writeable
    assert np.abs(photo.image.astype(int) - scene).max() <= tolerance
    assert photo.focal_px is None and photo.notes == ()


def test_orientation_is_honoured(tmp_path, scene):
    """All eight EXIF orientations, made by the inverse of what each tells a viewer to do."""
    stored = {
        1: scene,
        2: scene[:, ::-1],
        3: scene[::-1, ::-1],
        4: scene[::-1],
        5: scene.transpose(1, 0, 2),
        6: np.rot90(scene, 1),
        7: scene[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(scene, -1),
    }
    for orientation, pixels in stored.items():
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / "o.png", exif=exif)
        assert np.array_equal(read_photo(tmp_path / "o.png").image, scene), orientation


def _with_exif(path, size, tags, orientation=1):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif.get_ifd(ExifTags.IFD.Exif).update(tags)
    Image.new("RGB", size).save(path, exif=exif)
    return path


def test_focal_length_from_exif(tmp_path):
    path = tmp_path / "f.jpg"
    tag = ExifTags.Base
    # a full-frame camera: 50 mm on 36 x 24 mm, so 50 / 36 of the width
    photo = read_photo(_with_exif(path, (3600, 2400), {tag.FocalLengthIn35mmFilm: 50}))
    assert photo.focal_px == pytest.approx(50 / 36 * 3600, rel=1e-3)
    # turned on its side the focal length stays
    turned = read_photo(_with_exif(path, (3600, 2400), {tag.FocalLengthIn35mmFilm: 50}, orientation=6))
    assert turned.image.shape[:2] == (3600, 2400) and turned.focal_px == photo.focal_px
    # 4 mm behind a sensor of 250 pixels a millimetre, photo later halved
    plane = {tag.FocalLength: 4.0, tag.FocalPlaneXResolution: 2500.0, tag.FocalPlaneResolutionUnit: 3}
    halved = read_photo(_with_exif(path, (800, 600), plane | {tag.ExifImageWidth: 1600}))
    assert halved.focal_px == pytest.approx(500)
    for nonsense in ({}, {tag.FocalLengthIn35mmFilm: 0}, {tag.FocalLengthIn35mmFilm: 60000}, {tag.FocalLength: 4.0}):
        assert read_photo(_with_exif(path, (800, 600), nonsense)).focal_px is None


@pytest.mark.parametrize(("millimetres", "view"), [(5, "154"), (60000, "0.0413"), (700, "3.54")])
def test_implausible_focal_lengths_are_not_used(tmp_path, millimetres, view):
    path = _with_exif(tmp_path / "f.jpg", (800, 600), {ExifTags.Base.FocalLengthIn35mmFilm: millimetres})
    photo = read_photo(path)
    assert photo.focal_px is None
    assert photo.notes == (f"the focal length in EXIF is not used, because its field of view would be {view} degrees",)
    for usual in (8, 26, 600):
        tags = {ExifTags.Base.FocalLengthIn35mmFilm: usual}
        assert read_photo(_with_exif(path, (800, 600), tags)).focal_px == pytest.approx(usual * 1000 / 43.27, rel=1e-3)


def test_whatever_stands_for_a_photo(tmp_path, scene):
    path = tmp_path / "a.png"
    Image.fromarray(scene).save(path)
    for same in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), Image.fromarray(scene), scene,
                 scene / 255, (scene / 255).astype(np.float32), scene[:, ::-1][:, ::-1]):  # fmt: skip
        photo = as_photo(same)
        assert np.array_equal(photo.image, scene) and photo.image.flags.c_contiguous and photo.notes == ()
    gray = np.repeat(scene[..., :1], 3, axis=-1)
    for same in (scene[..., 0], scene[..., :1], scene[..., 0] / 255, Image.fromarray(scene[..., 0])):
        assert np.array_equal(as_photo(same).image, gray)
    half = np.dstack([scene, np.full(scene.shape[:2], 255, np.uint8)])
    half[:, :20, 3] = 0
    for same in (half, half / 255, Image.fromarray(half)):
        photo = as_photo(same)
        assert (photo.image[:, :20] == 255).all() and np.array_equal(photo.image[:, 20:], scene[:, 20:])
        assert "white" in photo.notes[0]


def test_a_pillow_image_is_turned_upright_and_stays_as_it_was(tmp_path, scene):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = 50
    Image.fromarray(np.ascontiguousarray(np.rot90(scene))).save(tmp_path / "o.png", exif=exif)
    with Image.open(tmp_path / "o.png") as opened:
        photo = as_photo(opened)
        assert np.array_equal(photo.image, scene) and opened.size == (48, 64)
    assert photo.focal_px == read_photo(tmp_path / "o.png").focal_px == pytest.approx(50 * 80 / 43.27, rel=1e-3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((64, 64, 2), np.uint8), r"uint8 \(64, 64, 2\)"),
        (np.zeros((3, 64, 64), np.uint8), r"uint8 \(3, 64, 64\)"),
        (np.zeros((1, 64, 64, 3), np.uint8), r"uint8 \(1, 64, 64, 3\)"),
        (np.zeros((64, 64), np.uint16), "uint16"),
        (np.zeros((64, 64), bool), "bool"),
        (np.full((64, 64, 3), 200.0), r"values in \[0, 1\], not 200 to 200"),
        (np.full((64, 64, 3), np.nan), r"values in \[0, 1\]"),
        (np.zeros((8, 64, 3), np.uint8), "64 x 8 pixels is too small"),
        (np.zeros((0, 64, 3), np.uint8), "64 x 0 pixels is too small"),
        (b"no photo", "photo: this is not a photo"),
        (b"", "photo: this is not a photo"),
        (3, "not int"),
        (None, "not NoneType"),
    ],
)
def test_what_is_no_photo(wrong, message):
    with pytest.raises(InputError, match=message):
        as_photo(wrong)


def test_heic(tmp_path, scene):
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif, which pip installs with meshrec[heic]")
    large = np.kron(scene, np.ones((4, 4, 1), np.uint8))
    pillow_heif.from_pillow(Image.fromarray(large)).save(tmp_path / "a.heic", quality=95)
    for photo in (read_photo(tmp_path / "a.heic"), as_photo((tmp_path / "a.heic").read_bytes())):
        assert np.abs(photo.image.astype(int) - large).mean() < 6


def test_heic_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr("meshrec.files.photos.heic_formats", lambda: ())
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    with pytest.raises(MissingDependency, match=r"a\.heic: HEIC files need pillow-heif .*meshrec\[heic\]"):
        read_photo(tmp_path / "a.heic")


def test_gray_alpha_palette_and_cmyk(tmp_path, scene):
    gray = np.repeat(scene[..., :1], 3, axis=-1)
    Image.fromarray(scene[..., 0]).save(tmp_path / "gray.png")
    assert np.array_equal(read_photo(tmp_path / "gray.png").image, gray)

    alpha = np.full(scene.shape[:2], 255, np.uint8)
    alpha[:, :20] = 0
    Image.fromarray(np.dstack([scene, alpha])).save(tmp_path / "alpha.png")
    shown = read_photo(tmp_path / "alpha.png")
    assert (shown.image[:, :20] == 255).all() and np.array_equal(shown.image[:, 20:], scene[:, 20:])
    assert "white" in shown.notes[0]

    colours = Image.fromarray(scene).quantize(16)
    colours.save(tmp_path / "palette.png")
    assert np.array_equal(read_photo(tmp_path / "palette.png").image, np.array(colours.convert("RGB")))

    Image.fromarray(scene).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    assert np.abs(read_photo(tmp_path / "cmyk.jpg").image.astype(int) - scene).mean() < 6


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits(tmp_path, scene, name):
    cv2.imwrite(str(tmp_path / name), scene[..., 0].astype(np.uint16) * 257)
    assert np.array_equal(read_photo(tmp_path / name).image[..., 1], scene[..., 0])
    cv2.imwrite(str(tmp_path / name), scene[..., ::-1].astype(np.uint16) * 257)
    if name.endswith("png"):
        assert np.array_equal(read_photo(tmp_path / name).image, scene)


def test_float_tiff(tmp_path, scene):
    values = scene[..., 0].astype(np.float32) / 255
    Image.fromarray(values).save(tmp_path / "f.tif")
    assert np.array_equal(read_photo(tmp_path / "f.tif").image[..., 0], scene[..., 0])
    values[3, 4] = np.nan
    Image.fromarray(values).save(tmp_path / "nan.tif")
    with pytest.raises(InputError, match="NaN"):
        read_photo(tmp_path / "nan.tif")


def test_first_frame_of_an_animation(tmp_path, scene):
    frames = [Image.fromarray(scene), Image.fromarray(255 - scene)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    photo = read_photo(tmp_path / "a.webp")
    assert np.array_equal(photo.image, scene)
    assert photo.notes == ("the first of 2 frames is used",)


def many_frames(count: int) -> bytes:
    """A TIFF of one picture, whose directory is repeated."""
    stream = io.BytesIO()
    Image.new("L", (64, 48)).save(stream, "TIFF")
    data = bytearray(stream.getvalue())
    (start,) = struct.unpack_from("<I", data, 4)
    size = 2 + 12 * struct.unpack_from("<H", data, start)[0]
    directory, place = bytes(data[start : start + size]), start + size
    for _ in range(count - 1):
        data[place : place + 4] = struct.pack("<I", len(data))
        data += directory + bytes(4)
        place = len(data) - 4
    return bytes(data)


def test_frames_are_counted_no_further_than_needed(tmp_path):
    path = tmp_path / "a.tif"
    for count, note in ((1, ()), (7, ("the first of 7 frames is used",)), (60_000, ("the first of more than 100",))):
        path.write_bytes(many_frames(count))
        notes = read_photo(path).notes
        assert len(notes) == len(note) and all(have.startswith(want) for have, want in zip(notes, note))
    data = bytearray(many_frames(2))
    data[-4:] = data[4:8]  # the second leads back to the first
    path.write_bytes(data)
    assert read_photo(path).notes == ("the first of more than 100 frames is used",)
    frames = [Image.new("P", (64, 48), i % 200) for i in range(130)]
    for i, frame in enumerate(frames):
        frame.putpixel((i % 64, 5), 255)
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_photo(tmp_path / "a.gif").notes == ("the first of more than 100 frames is used",)
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:9])
    assert read_photo(tmp_path / "a.gif").notes == ("the first of 9 frames is used",)


SIDE = 4000  # of the photos whose memory is measured, pixels
MODES = {
    "int32.tif": lambda gray: Image.fromarray(gray.astype(np.int32) * 100),
    "float.tif": lambda gray: Image.fromarray(gray.astype(np.float32) / 255),
    "rgba.png": lambda gray: Image.fromarray(np.repeat(gray[..., None], 4, axis=2)),
    "la.png": lambda gray: Image.fromarray(np.repeat(gray[..., None], 2, axis=2)),
    "deep.png": lambda gray: Image.fromarray(gray.astype(np.uint16) * 200),
    "palette.png": lambda gray: Image.fromarray(gray).convert("P"),
    "cmyk.tif": lambda gray: Image.fromarray(gray).convert("CMYK"),
    "turned.jpg": lambda gray: Image.fromarray(gray).convert("RGB"),
}


@pytest.mark.parametrize("name", MODES)
def test_memory_of_large_photos(tmp_path, name):
    """A pixel takes at most four bytes decoded, and three in the result or as many as the file has for it."""
    pytest.importorskip("resource")
    gray = np.tile((np.arange(SIDE) % 251).astype(np.uint8), (SIDE, 1))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    MODES[name](gray).save(tmp_path / name, **({"exif": exif} if name == "turned.jpg" else {}))
    program = (
        "import resource, sys\n"
        "from meshrec.files.photos import read_photo\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "read_photo(sys.argv[1])\n"
        "print((peak() - before) * (1 if sys.platform == 'darwin' else 1024))\n"
    )
    command = [sys.executable, "-c", program, tmp_path / name]
    taken = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert taken < 8.2 * SIDE**2 + 20e6


def test_pixels_do_not_depend_on_strips(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (61, 47, 4), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 7
    Image.fromarray(noise).save(tmp_path / "a.png", exif=exif)
    Image.fromarray(random.integers(0, 5000, (61, 47)).astype(np.int32)).save(tmp_path / "b.tif")
    whole = [read_photo(tmp_path / name) for name in ("a.png", "b.tif")]
    monkeypatch.setattr("meshrec.files.photos.STRIP_PIXELS", 100)
    for photo in whole:
        again = read_photo(photo.path)
        assert np.array_equal(again.image, photo.image) and again.notes == photo.notes
        assert again.fingerprint.sha256 == hashlib.sha256(photo.path.read_bytes()).hexdigest()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [True, False])
def test_large_webp_is_read_as_pillow_reads_small_ones(tmp_path, monkeypatch, mode, lossless):
    """Of lossy files decoders differ in how they enlarge the colours, which have half the resolution."""
    x, y = np.meshgrid(np.linspace(0, 250, 47), np.linspace(0, 250, 61))
    values = np.stack([x, y, 250 - x, 250 - y], axis=-1)[..., : len(mode)].astype(np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = tmp_path / "a.webp"
    Image.fromarray(values).save(path, exif=exif, lossless=lossless, exact=True)
    small = read_photo(path)
    monkeypatch.setattr("meshrec.files.photos.PILLOW_WEBP_PIXELS", 100)
    monkeypatch.setattr("meshrec.files.webp.STRIP_PIXELS", 300)
    large = read_photo(path)
    apart = np.abs(large.image.astype(int) - small.image)
    assert large.image.shape == (47, 61, 3) and apart.max() <= (0 if lossless else 8)
    assert (large.notes, large.fingerprint) == (small.notes, small.fingerprint)
    assert np.array_equal(read_photo("b.webp", path.read_bytes()).image, large.image)
    content = path.read_bytes()
    for cut in (12, 30, len(content) - 200):
        path.write_bytes(content[:cut])
        with pytest.raises(InputError, match=r"damaged|not a photo"):
            read_photo(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_of_a_large_animated_webp_the_first_frame_is_read(tmp_path, monkeypatch, mode):
    red, blue = (Image.new(mode, (41, 30), color) for color in ("red", "blue"))
    red.paste((0, 0, 0, 0)[: len(mode)], (0, 0, 9, 30))
    path = tmp_path / "a.webp"
    red.save(path, save_all=True, append_images=[blue], lossless=True)
    small = read_photo(path)
    monkeypatch.setattr("meshrec.files.photos.PILLOW_WEBP_PIXELS", 100)
    monkeypatch.setattr("meshrec.files.webp.STRIP_PIXELS", 300)
    large = read_photo(path)
    assert np.array_equal(large.image, small.image) and large.notes == small.notes
    assert "the first of 2 frames is used" in large.notes


def test_a_first_frame_that_covers_a_part_lies_on_white(monkeypatch):
    stream = io.BytesIO()
    Image.new("RGB", (20, 17), "red").save(stream, "WEBP", lossless=True)
    chunk = stream.getvalue()[12:]
    frame = b"".join(struct.pack("<I", value)[:3] for value in (3, 5, 19, 16, 40)) + b"\0" + chunk
    header = struct.pack("<B3x", 0x02) + b"".join(struct.pack("<I", side - 1)[:3] for side in (40, 32))
    parts = [(b"VP8X", header), (b"ANIM", b"\0" * 6), (b"ANMF", frame), (b"ANMF", frame)]
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(own)) + own + b"\0" * (len(own) % 2) for name, own in parts)
    monkeypatch.setattr("meshrec.files.photos.PILLOW_WEBP_PIXELS", 100)
    image = read_photo("a.webp", b"RIFF" + struct.pack("<I", len(body)) + body).image
    expected = np.full((32, 40, 3), 255, np.uint8)
    expected[10:27, 6:26] = (255, 0, 0)
    assert np.array_equal(image, expected)


@pytest.mark.parametrize("size", [(64, 48), (47, 61)])
def test_large_jpeg_2000_is_read_at_half_its_size(tmp_path, monkeypatch, size):
    x, y = np.meshgrid(np.linspace(0, 250, size[0]), np.linspace(0, 250, size[1]))
    Image.fromarray(np.stack([x, y, 250 - x], axis=-1).astype(np.uint8)).save(tmp_path / "a.jp2")
    whole = read_photo(tmp_path / "a.jp2")
    monkeypatch.setattr("meshrec.files.photos.WHOLE_JPEG2000_PIXELS", 100)
    half = read_photo(tmp_path / "a.jp2")
    assert half.image.shape == whole.image.shape == (*size[::-1], 3)
    assert np.abs(half.image.astype(int) - whole.image).max() < 8  # its colours change by 5 a pixel
    assert half.notes == ("JPEG 2000 of this size is read at half its resolution",)


def test_a_photo_that_changes_while_it_is_read_is_refused(tmp_path, scene, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(scene).save(path)
    real = Image.open

    def changed(*arguments, **options):
        path.write_bytes(path.read_bytes() + b"more")
        return real(*arguments, **options)

    monkeypatch.setattr(Image, "open", changed)
    with pytest.raises(InputError, match="changed while it was read"):
        read_photo(path)


def test_broken_files_give_one_sentence(tmp_path, scene):
    good = tmp_path / "good.jpg"
    Image.fromarray(scene).resize((640, 480)).save(good)
    cases = {
        "empty.jpg": (b"", "empty"),
        "text.jpg": (b"dear reader, this is no photo", "not a photo"),
        "cut.jpg": (good.read_bytes()[:2000], "cut short"),
        "bomb.png": (png(20000, 20000), "megapixels"),
        "large.png": (png(12000, 11000), "megapixels"),
        "long.png": (png(40_000, 20), "too long; a side may have 32766"),
        "dot.png": (png(1, 1), "too small"),
        "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(64), "HEIC"),
        "film.mov": (b"\0\0\0\x18ftypqt  " + bytes(64), "video"),
        "page.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n", "not a photo"),
    }
    for name, (content, reason) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MeshrecError, match=reason) as caught:
            read_photo(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name)) and "\n" not in str(caught.value)
    with pytest.raises(InputError, match="folder"):
        read_photo(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_photo(tmp_path / "missing.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "gif", "bmp"])
def test_damaged_bytes_raise_nothing_but_input_errors(tmp_path, scene, suffix):
    random = np.random.default_rng(0)
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(scene).save(path, **({"exif": exif} if suffix in ("jpg", "png", "webp", "tif") else {}))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(60):
        broken = whole.copy()
        places = random.integers(0, min(len(whole), 400), 4)
        broken[places] = random.integers(0, 256, 4)
        path.write_bytes(broken.tobytes())
        try:
            photo = read_photo(path)
        except InputError:
            continue
        assert photo.image.ndim == 3 and photo.image.shape[2] == 3
        assert photo.focal_px is None or math.isfinite(photo.focal_px)
