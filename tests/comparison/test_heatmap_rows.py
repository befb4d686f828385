"""The rows of networks that find 2D joints: joints that are right after each stage, and rows from end to end."""

import json
from functools import partial
from types import SimpleNamespace

import torch
from helpers.tools import run_tool

from meshrec.benchmarks import timing
from meshrec.comparison.heatmap_rows import TITLE, after_each_stage, found_joints
from meshrec.training.pictured import PicturedPeople

SMALL = (
    *("--limit", 8, "--set", "pictures.people=48", "pictures.lifter_steps=2", "seeing.steps=2", "seeing.batch_size=8"),
    *("training.batch_size=8", "baseline.width=8", "compositional.channels=4"),
)


def people(places: torch.Tensor) -> PicturedPeople:
    count = len(places)
    return PicturedPeople(
        torch.zeros(count, 3, 8, 8, dtype=torch.uint8), places, torch.rand(count, 17, 3), torch.ones(count, 3),
        torch.eye(3).expand(count, 24, 3, 3), torch.zeros(count, 10), torch.ones(count),
    )  # fmt: skip


class Fake:
    """Its first stage is off by 0.3 torsos to one side, its second by 0.1, and a joint outside is far off in both."""

    def __init__(self, places: torch.Tensor, torso: float) -> None:
        self.places, self.torso = places, torso

    def stages(self, image: torch.Tensor) -> list[torch.Tensor]:
        found = []
        for error in (0.3, 0.1):
            moved = self.places + torch.tensor([error * self.torso, 0.0])
            moved[:, 0] = 9.0
            found.append(torch.cat([moved, torch.ones_like(moved[..., :1])], dim=-1))
        return found


def test_joints_are_right_within_a_fifth_of_the_torso():
    places = torch.zeros(4, 17, 2)
    places[:, 11, 1] = places[:, 14, 1] = -0.5  # shoulders half a crop side above the hips
    places[2:, 0] = 1.5  # half of the people have a joint outside the picture, which does not count
    places[:2, 0] = 0.9
    bench = SimpleNamespace(pictured=people(places), groups={"usual": [0, 1], "hard": [2, 3]})
    cells = after_each_stage("fake", Fake(places, 0.5), bench)[TITLE]["fake"]
    assert cells == {"1": "0.0 / 0.0", "2": f"{100 * 16 / 17:.1f} / 100.0", "3": "-", "4": "-", "5": "-"}
    found = found_joints(Fake(places, 0.5), bench.pictured)
    torch.testing.assert_close(found.keypoints[:, 1:, 0], places[:, 1:, 0] + 0.05)
    assert found.joints is bench.pictured.joints


def test_a_row_ends_in_bodies_and_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "time_in_turn", partial(timing.time_in_turn, seconds=0))
    done = run_tool("compare_methods.py", tmp_path, "--rows", "compositional", *SMALL)
    assert done.code == 0, done.err
    row = json.loads((tmp_path / "compositional.json").read_text())
    assert all(0 < row["errors"][group]["mpve"] < 3000 for group in ("usual", "hard"))
    stages = [cell for cell in next(iter(row["more"][TITLE].values())).values() if cell != "-"]
    assert len(stages) == 2 and TITLE in (tmp_path / "comparison.md").read_text()
    (tmp_path / "compositional.json").unlink()
    again = run_tool("compare_methods.py", tmp_path, "--rows", "compositional", *SMALL, "seeing.rate=0.1")
    assert again.code and "other settings" in again.err
