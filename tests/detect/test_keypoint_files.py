"""Files of keypoints as other tools write them.

Every file here has one person, each of whose joints has a place of its own, in the order in which the tool's
documentation lists its keypoints. What is read has to have each joint in its place.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from meshrec.body import joint_set
from meshrec.detect.inputs import for_photo, names_of_photos, read_boxes, read_keypoints
from meshrec.detect.layouts import LAYOUTS, find_layout
from meshrec.errors import InputError

FACE = ["nose", "left_eye", "right_eye", "left_ear", "right_ear"]
PAIRS = [
    f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
]
COCO = FACE + PAIRS
# Keypoints as their tools name them, in their order; "thorax" is OpenPose's neck, "neck" what annotators mark.
ORDERS = {
    "coco17": COCO,
    # OpenPose, doc/02_output.md, "Pose Output Format (COCO)"
    "coco18": [
        "nose", "thorax", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
        "right_ear", "left_ear",
    ],
    # POSE_MPI_BODY_PARTS of its poseParameters.cpp; the 15th point is the chest
    "openpose_mpi14": [
        "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
        "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    ],
    # doc/02_output.md, "Pose Output Format (BODY_25)"
    "openpose25": [
        "nose", "thorax", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye",
        "left_eye", "right_ear", "left_ear", "left_big_toe", "left_small_toe", "left_heel", "right_big_toe",
        "right_small_toe", "right_heel",
    ],
    # Halpe-FullBody's README: 26 points of the body, then 68 of the face and 21 of each hand
    "halpe26": [
        *COCO, "head_top", "neck", "mid_hip", "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe",
        "left_heel", "right_heel",
    ],
    # COCO-WholeBody's data_format.md: 17 of the body, 6 of the feet, 68 of the face, 21 of each hand
    "wholebody23": [
        *COCO, "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel"
    ],
    # AI Challenger's keypoint data set, page "Data description"
    "aic14": [
        "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist", "right_hip",
        "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "head_top", "neck",
    ],
    # CrowdPose's README
    "crowdpose14": [*PAIRS, "head_top", "neck"],
}  # fmt: skip
NAMES = sorted({name for names in ORDERS.values() for name in names})
PLACES = {name: (100.0 + 7 * i, 40.0 + 3 * i, 0.5 + 0.01 * i) for i, name in enumerate(NAMES)}


def flat(layout: str, rest: int = 0) -> list[float]:
    """x, y and confidence of the person's keypoints, and of further ones such as those of faces."""
    return [value for name in ORDERS[layout] for value in PLACES[name]] + [1.0, 2.0, 0.9] * rest


def write(path: Path, content: object, encoding: str = "utf-8") -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding=encoding)
    return path


def require_in_place(people, layout: str) -> None:
    """Exactly one person, with every joint of the layout where it is, under the name that it has here."""
    (person,) = people
    assert person.joint_set == layout
    for name, keypoint in zip(joint_set(layout), person.keypoints, strict=True):
        assert keypoint == pytest.approx(PLACES[name], abs=1e-4), name
    x, y, _ = np.transpose([PLACES[name] for name in ORDERS[layout]])
    assert person.box[0] < x.min() and person.box[3] > y.max()


# --- tools -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "rest"),
    [("coco17", 0), ("coco18", 0), ("openpose25", 0), ("halpe26", 0), ("halpe26", 110), ("wholebody23", 110),
     ("wholebody23", 0), ("openpose_mpi14", 1)],
)  # fmt: skip
def test_layouts_are_known_by_their_number(tmp_path, layout, rest):
    row = {"image_id": "a.jpg", "category_id": 1, "keypoints": flat(layout, rest), "score": 2.7}
    people = for_photo(read_keypoints(write(tmp_path / "r.json", [row])), "x/a.jpg")
    require_in_place(people, layout)
    assert people[0].score == 1


@pytest.mark.parametrize("layout", ["aic14", "crowdpose14"])
def test_fourteen_keypoints_need_a_name(tmp_path, layout):
    path = write(tmp_path / "r.json", [{"image_id": "a.jpg", "keypoints": flat(layout)}])
    with pytest.raises(InputError, match="14 may be aic14, crowdpose14, lsp14; say which with --keypoint-layout"):
        read_keypoints(path)
    require_in_place(for_photo(read_keypoints(path, layout), "a.jpg"), layout)
    with pytest.raises(InputError, match="no keypoint layout 'aic15'; choose of coco17, coco18"):
        read_keypoints(path, "aic15")


@pytest.mark.parametrize("style", ["{side}_{joint}", "{Side} {Joint}", "{s}_{joint}", "{S}{Joint}"])
@pytest.mark.parametrize("layout", ["aic14", "crowdpose14"])
def test_names_of_keypoints_tell_layouts_apart(layout, style):
    names = []
    for name in ORDERS[layout]:
        side, _, joint = name.rpartition("_")
        words = {
            "side": side,
            "joint": joint,
            "Side": side.title(),
            "Joint": joint.title(),
            "s": side[:1],
            "S": side[:1].upper(),
        }
        names.append(style.format(**words) if side in ("left", "right") else name)
    assert find_layout(14, names) is LAYOUTS[layout]


def test_seventeen_keypoints_of_other_names_are_not_cocos():
    h36m = (
        "pelvis rhip rknee rankle lhip lknee lankle spine thorax neck head lshoulder lelbow lwrist rshoulder relbow "
        "rwrist"
    )
    assert find_layout(17, h36m.split()).joints == "h36m17" and find_layout(17).joints == "coco17"
    with pytest.raises(ValueError, match="17 of these names and this order are none"):
        find_layout(17, ["left_knee", *"abcdefghijklmnop"])


@pytest.mark.parametrize(("key", "layout"), [("pose_keypoints_2d", "openpose25"), ("pose_keypoints", "coco18")])
def test_openpose(tmp_path, key, layout):
    """New and old versions; a second person of whom only the face was found."""
    people = [{key: flat(layout), "face_keypoints_2d": [1.0] * 210}, {key: [], "face_keypoints_2d": [1.0] * 210}]
    path = write(tmp_path / "a_keypoints.json", {"version": 1.1, "people": people})
    found = read_keypoints(path)
    require_in_place(for_photo(found, "a.jpg"), layout)
    assert found.notes(path) == (f"{path}: left out people without keypoints (1)",)


@pytest.mark.parametrize(("people", "points"), [("bodies", "joints"), ("people", "pose_keypoints_2d")])
def test_alphapose_in_the_styles_of_cmu_and_openpose(tmp_path, people, points):
    photo = {"version": "AlphaPose v0.3", people: [{points: flat("coco18")}]}
    both = read_keypoints(write(tmp_path / "alphapose-results.json", {"a.jpg": photo, "b.jpg": {people: []}}))
    require_in_place(for_photo(both, "x/a.jpg"), "coco18")
    assert for_photo(both, "b.jpg") == [] and for_photo(both, "c.jpg") is None
    (tmp_path / "sep-json").mkdir()
    write(tmp_path / "sep-json/a.json", photo)
    require_in_place(for_photo(read_keypoints(tmp_path / "sep-json"), "x/a.jpg"), "coco18")


def test_alphapose_in_its_own_style(tmp_path):
    row = {"image_id": "a.jpg", "category_id": 1, "keypoints": flat("coco17"), "score": 3.1, "box": [90, 30, 200, 220],
           "idx": [0.0]}  # fmt: skip
    (person,) = for_photo(read_keypoints(write(tmp_path / "alphapose-results.json", [row])), "a.jpg")
    assert person.box.tolist() == [90, 30, 290, 250] and person.score == 1


def mmpose_instance(layout: str, rest: int = 0) -> dict:
    values = np.reshape(flat(layout, rest), (-1, 3))
    return {
        "keypoints": values[:, :2].tolist(),
        "keypoint_scores": values[:, 2].tolist(),
        "bbox": [[90.0, 30.0, 290.0, 250.0]],
        "bbox_score": 0.75,
    }


def test_mmpose(tmp_path):
    """The inferencer's files and results, and those of the demo scripts, of photos and of videos of one frame."""
    instances = [mmpose_instance("wholebody23", 110)]
    for name, content in {
        "a.json": instances,
        "results_a.json": {"meta_info": {"dataset_name": "coco_wholebody"}, "instance_info": instances},
        "b.json": {"predictions": [instances], "visualization": []},
        "c.json": {"instance_info": [{"frame_id": 1, "instances": instances}]},
        "d.json": [instances],
    }.items():
        (person,) = for_photo(read_keypoints(write(tmp_path / name, content)), "x/a.jpg")
        assert person.box.tolist() == [90, 30, 290, 250] and person.score == 0.75
        for joint, keypoint in zip(joint_set("wholebody23"), person.keypoints, strict=True):
            assert keypoint == pytest.approx(PLACES[joint], abs=1e-4)


def test_mmpose_0(tmp_path):
    """Pose results as a program dumps them, and the files of tools/test.py for top-down and bottom-up networks."""
    values = np.reshape(flat("coco17"), (-1, 3))
    result = {"bbox": [90.0, 30.0, 290.0, 250.0, 0.75], "keypoints": values.tolist()}
    for name, content in {"a.json": [result], "b.json": [[result]]}.items():
        (person,) = for_photo(read_keypoints(write(tmp_path / name, content)), "x/a.jpg")
        assert person.box.tolist() == [90, 30, 290, 250]
        assert np.allclose(person.keypoints, [PLACES[joint] for joint in joint_set("coco17")], atol=1e-4)
    tagged = np.column_stack([values, np.ones(17)])
    batches = [
        {"preds": [values.tolist()] * 2, "boxes": [[1.0] * 6] * 2, "image_paths": ["data/a.jpg", "data/b.jpg"]},
        {"preds": [tagged.tolist(), np.zeros((17, 4)).tolist()], "scores": [0.5, 0.1], "image_paths": ["data/c.jpg"]},
        {"preds": [], "image_paths": ["data/d.jpg"]},
    ]
    path = write(tmp_path / "c.json", batches)
    found = read_keypoints(path)
    for photo in "abc":
        require_in_place(for_photo(found, f"data/{photo}.jpg"), "coco17")
    assert "people without keypoints (1)" in found.notes(path)[0] and for_photo(found, "d.jpg") == []
    batches[0]["preds"][1] = [[1.0, 2.0]]
    found = read_keypoints(write(path, batches))
    require_in_place(for_photo(found, "data/a.jpg"), "coco17")
    with pytest.raises(InputError, match="the keypoints of person 0 must be a list"):
        for_photo(found, "data/b.jpg")
    batches[0]["image_paths"] = ["a.jpg", "b.jpg", "c.jpg"]
    with pytest.raises(InputError, match="image_paths with one for each"):
        read_keypoints(write(path, batches))


@pytest.mark.parametrize("layout", ["aic14", "crowdpose14", "halpe26"])
def test_mmpose_names_its_keypoints(tmp_path, layout):
    names = {str(i): {"head_top": "head", "mid_hip": "hip"}.get(n, n) for i, n in enumerate(ORDERS[layout])}
    content = {"meta_info": {"keypoint_id2name": names}, "instance_info": [mmpose_instance(layout)]}
    found = read_keypoints(write(tmp_path / "a.json", content))
    (person,) = for_photo(found, "a.jpg")
    assert person.joint_set == layout
    wrists = [person.keypoints[joint_set(layout).index(f"{side}_wrist")] for side in ("left", "right")]
    assert np.allclose(wrists, [PLACES["left_wrist"], PLACES["right_wrist"]], atol=1e-4)


def test_ai_challenger(tmp_path):
    values = np.reshape(flat("aic14"), (-1, 3))
    values[:, 2] = 1
    values[3] = 0, 0, 3  # no label
    photo = {
        "image_id": "d8eeddddcc042544a2570d4c452778b912726720",
        "keypoint_annotations": {"human1": values.ravel().tolist(), "human2": [0, 0, 3] * 14},
        "human_annotations": {"human1": [90, 30, 290, 250], "human2": [0, 0, 9, 9]},
    }
    path = write(tmp_path / "keypoint_train_annotations.json", [photo])
    found = read_keypoints(path)
    (person,) = for_photo(found, f"x/{photo['image_id']}.jpg")
    assert person.joint_set == "aic14" and person.box.tolist() == [90, 30, 290, 250]
    assert person.keypoints[3].tolist() == [0, 0, 0] and np.allclose(person.keypoints[4], values[4])
    assert "people without keypoints (1)" in found.notes(path)[0]


def coco(rows: Sequence[dict], **more: object) -> dict:
    return {
        "images": [{"id": 7, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 7, **row} for row in rows],
        **more,
    }


def test_crowdpose_names_its_keypoints_in_its_categories(tmp_path):
    names = [{"head_top": "head"}.get(name, name) for name in ORDERS["crowdpose14"]]
    content = coco(
        [{"category_id": 1, "keypoints": flat("crowdpose14")}],
        categories=[{"id": 1, "name": "person", "keypoints": names}],
    )
    require_in_place(for_photo(read_keypoints(write(tmp_path / "c.json", content)), "a.jpg"), "crowdpose14")


def test_feet_of_coco_wholebody(tmp_path):
    feet = flat("wholebody23")[51:]
    rows = [{"keypoints": flat("coco17"), "foot_kpts": feet, "face_kpts": [1.0] * 204}, {"keypoints": flat("coco17")}]
    first, second = for_photo(read_keypoints(write(tmp_path / "c.json", coco(rows))), "a.jpg")
    require_in_place([first], "wholebody23")
    assert second.joint_set == "wholebody23" and not second.keypoints[17:].any()


# --- what is not needed -----------------------------------------------------------------------------------------------


def test_other_categories_and_people_without_keypoints_are_left_out_and_counted(tmp_path):
    categories = [{"id": 1, "name": "person", "keypoints": COCO}, {"id": 3, "name": "car"}]
    rows = [
        {"category_id": 3, "bbox": [1, 2, 3, 4]},
        {"category_id": 3, "keypoints": [1.0, 2.0, 3.0]},
        {"category_id": 1, "bbox": [1, 2, 3, 4]},
        {"category_id": 1, "keypoints": []},
        {"category_id": 1, "keypoints": [0] * 51},
        {"category_id": 1, "keypoints": flat("coco17"), "segmentation": "anything"},
    ]
    content = coco(rows, categories=categories)
    del content["annotations"][0]["image_id"]
    content["annotations"][2]["image_id"] = 99
    path = write(tmp_path / "c.json", content)
    found = read_keypoints(path)
    require_in_place(for_photo(found, "a.jpg"), "coco17")
    (note,) = found.notes(path)
    assert note == f"{path}: left out annotations of other categories (2), people without keypoints (3)"
    assert read_keypoints(write(path, coco(rows[-1:]))).notes(path) == ()


def test_regressed_scores_overshoot(tmp_path):
    values = np.reshape(flat("coco17"), (-1, 3))
    values[:4, 2] = -0.003, 1.02, -1, 2
    values[2, :2] = -1
    path = write(tmp_path / "r.json", [{"image_id": "a.jpg", "keypoints": values.ravel().tolist()}])
    (person,) = for_photo(read_keypoints(path), "a.jpg")
    assert person.keypoints[:4, 2].tolist() == [0, 1, 0, 1] and not person.keypoints[[0, 2]].any()


def test_an_error_counts_only_for_the_photo_that_it_is_about(tmp_path):
    rows = [{"image_id": "a.jpg", "keypoints": flat("coco17")}, {"image_id": "b.jpg", "keypoints": ["x"] * 51}]
    path = write(tmp_path / "r.json", rows)
    found = read_keypoints(path)
    require_in_place(for_photo(found, "a.jpg"), "coco17")
    with pytest.raises(InputError, match="keypoints of person 1 must be numeric"):
        for_photo(found, "x/b.jpg")
    assert found.notes(path) == (f"{path}: left out damaged entries of photos (1)",)
    for name, content in {"a_keypoints.json": {"people": []}, "b_keypoints.json": "{"}.items():
        write(tmp_path / name, content)
    folder = read_keypoints(tmp_path)
    assert for_photo(folder, "a.jpg") == []
    with pytest.raises(InputError, match=r"b_keypoints\.json: this is not JSON"):
        for_photo(folder, "b.jpg")
    boxes = read_boxes(write(path, {"a.jpg": [[1, 2, 30, 40]], "b.jpg": [[1, 2, 3]]}))
    assert for_photo(boxes, "a.jpg").tolist() == [[1, 2, 30, 40]]
    with pytest.raises(InputError, match=r"the boxes of b\.jpg must be a list of"):
        for_photo(boxes, "b.jpg")


# --- names and encodings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "images\\train\\a.jpg", "D:\\a.jpg", "http://images.cocodataset.org/val2017/a.jpg", "/elsewhere/a.jpg",
     "https://host/a.jpg?raw=1", "../train/a.jpg", "train/a"],
)  # fmt: skip
def test_names_of_other_computers(tmp_path, name):
    content = {"images": [{"id": 1, "file_name": name}, {"id": 2, "file_name": "b.jpg"}],
               "annotations": [{"image_id": 1, "keypoints": flat("coco17")}]}  # fmt: skip
    found = read_keypoints(write(tmp_path / "c.json", content))
    require_in_place(for_photo(found, "holiday/a.jpg"), "coco17")
    assert for_photo(found, "holiday/aa.jpg") is None


def test_a_file_name_alone_decides_only_where_it_is_unique():
    found = read_boxes_of({"train/1.jpg": 1, "val/1.jpg": 2, "val/2.jpg": 3})
    named = names_of_photos(found, ["x/1.jpg", "x/2.jpg", "y/train/1.jpg"])
    assert [named[Path(p)] for p in ("x/1.jpg", "x/2.jpg", "y/train/1.jpg")] == [None, "val/2.jpg", "train/1.jpg"]
    named = names_of_photos(found, ["x/2.jpg", "y/2.jpg"])  # either could be meant
    assert list(named.values()) == [None, None]


def read_boxes_of(names: dict[str, int]):
    from meshrec.detect.keypoint_rows import ByPhoto

    found = ByPhoto()
    found.update(names)
    return found


def test_one_file_and_one_photo_need_no_name(tmp_path):
    for name, content in {
        "poses.json": {"people": [{"pose_keypoints_2d": flat("openpose25")}]},
        "0.json": [mmpose_instance("openpose25")],
        "results.json": [{"image_id": 7, "keypoints": flat("openpose25")}],
    }.items():
        found = read_keypoints(write(tmp_path / name, content))
        assert len(for_photo(found, "a.jpg")) == 1
        assert list(names_of_photos(found, ["a.jpg", "b.jpg"]).values()) == [None, None]
    named = read_keypoints(write(tmp_path / "r.json", [{"image_id": "b.jpg", "keypoints": flat("openpose25")}]))
    assert for_photo(named, "a.jpg") is None


def test_numbers_of_cocos_photos(tmp_path):
    found = read_keypoints(write(tmp_path / "r.json", [{"image_id": i, "keypoints": flat("coco17")} for i in (7, 8)]))
    for name in ("000000000007.jpg", "COCO_val2014_000000000007.jpg"):
        require_in_place(for_photo(found, f"val/{name}"), "coco17")
    assert for_photo(found, "7.jpg") is None


def test_a_folder_with_one_file_that_names_its_photos(tmp_path):
    write(tmp_path / "r.json", [{"image_id": "b.jpg", "keypoints": flat("coco17")}])
    assert for_photo(read_keypoints(tmp_path), "a.jpg") is None


def test_links_go_by_the_name_of_their_target_too(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store/a.jpg").touch()
    (tmp_path / "today.jpg").symlink_to("store/a.jpg")
    for name, expected in (("a.jpg", 1), ("store/a.jpg", 1), ("today.jpg", 1), ("b.jpg", None)):
        assert for_photo(read_boxes_of({name: 1}), tmp_path / "today.jpg") == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks(tmp_path, encoding):
    content = {"people": [{"pose_keypoints_2d": flat("openpose25")}]}
    require_in_place(for_photo(read_keypoints(write(tmp_path / "a.json", content, encoding)), "a.jpg"), "openpose25")
    assert read_boxes(write(tmp_path / "b.json", '{"ä.jpg": []}', encoding)).keys() == {"ä.jpg"}


# --- damage -----------------------------------------------------------------------------------------------------------

JUNK = (
    None,
    0,
    -1.5,
    True,
    "x",
    "http://[",
    "\x00",
    [],
    {},
    [[]],
    [{}],
    {"a": 1},
    [1, 2],
    [None] * 51,
    10**400,
    {"instances": []},
)


def places(content: object, path: tuple = ()):
    """The path of every value in a document."""
    yield path
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from places(value, (*path, key))


@pytest.mark.parametrize(
    "content",
    [
        {"people": [{"pose_keypoints_2d": flat("openpose25")}, {"pose_keypoints_2d": []}]},
        {"a.jpg": {"bodies": [{"joints": flat("coco18")}]}, "b.jpg": {"bodies": []}},
        [{"image_id": "a.jpg", "keypoints": flat("coco17"), "score": 1.0, "box": [1, 2, 3, 4]}],
        [mmpose_instance("coco17")],
        {"meta_info": {"keypoint_id2name": {"0": "x"}}, "instance_info": [{"instances": [mmpose_instance("coco17")]}]},
        [{"image_id": "a", "keypoint_annotations": {"h": flat("aic14")}, "human_annotations": {"h": [1, 2, 3, 4]}}],
        coco([{"category_id": 1, "keypoints": flat("coco17"), "foot_kpts": [0] * 18, "bbox": [1, 2, 30, 40]}],
             categories=[{"id": 1, "name": "person", "keypoints": COCO}]),
    ],
    ids=["openpose", "alphapose", "results", "mmpose", "mmpose-demo", "ai-challenger", "coco"],
)  # fmt: skip
def test_damaged_files_raise_nothing_but_input_errors(tmp_path, content):
    """Each value in turn, but of long lists only the first, is taken out or replaced by something else."""
    path = tmp_path / "k.json"
    for place in places(content):
        if any(isinstance(key, int) and key > 0 for key in place) or not place:
            continue
        for junk in JUNK:
            damaged = json.loads(json.dumps(content))
            parent = damaged
            for key in place[:-1]:
                parent = parent[key]
            parent[place[-1]] = junk
            try:
                found = read_keypoints(write(path, damaged))
                found.notes(path)
                for_photo(found, "a.jpg")
            except InputError as error:
                assert str(error).startswith(str(path)) and len(str(error)) < 400
