"""Names of pictures that other computers wrote."""

import pytest

from meshrec.files.names import find_picture, name_parts


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("x.jpg", ("x.jpg",)),
        ("./train//x.jpg", ("train", "x.jpg")),
        ("images\\train\\x.jpg", ("images", "train", "x.jpg")),
        ("C:\\data\\x.jpg", ("data", "x.jpg")),
        ("/data/x.jpg", ("data", "x.jpg")),
        ("http://images.cocodataset.org/val2017/000000397133.jpg", ("val2017", "000000397133.jpg")),
        ("https://host/a%20b.jpg?size=640#top", ("a b.jpg",)),
        ("what?.jpg", ("what?.jpg",)),
        ("file:///data/x.jpg", ("data", "x.jpg")),
        ("http://[", ()),
        ("", ()),
    ],
)
def test_parts(name, parts):
    assert name_parts(name) == parts


def test_the_file_with_most_of_the_names_folders_is_found(tmp_path):
    for name in ("x.jpg", "train/x.jpg", "y.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("train/x.jpg", "images\\train\\x.jpg", "http://host/train/x.jpg", "D:\\a\\train\\x.jpg"):
        assert find_picture(tmp_path, name) == tmp_path / "train/x.jpg"
    assert find_picture(tmp_path, "val/x.jpg") == tmp_path / "x.jpg"
    assert find_picture(tmp_path, "val/y", ("", ".jpg", ".png")) == tmp_path / "y.png"
    assert find_picture(tmp_path, "none.jpg") == tmp_path / "none.jpg"
