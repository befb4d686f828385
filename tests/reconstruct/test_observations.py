"""What is kept of a clip: it comes back as it was, and takes little memory."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from meshrec.body.state import BodyState
from meshrec.detect import Detection, Mask
from meshrec.errors import InputError
from meshrec.fit import Initial
from meshrec.reconstruct.observations import Observations, Observed, joined, kept_in

RNG = np.random.default_rng(0)


def person(number: int) -> Detection:
    """Somebody with a mask as networks give it: smooth, and sure inside and outside."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    values = np.clip(2000 * (0.7 - np.hypot(x, 0.6 * y + 0.01 * number)), 0, 255).astype(np.uint8)
    box = np.array([10, 10, 200, 300], np.float32)
    return Detection(box, RNG.random((17, 3)).astype(np.float32), "coco17", 0.9, Mask(values, box))


def estimates(count: int, same: bool = True) -> Initial:
    state = BodyState(
        torch.rand(count, 24, 3, 3).double(), torch.rand(count, 3).double(), torch.rand(count, 10).double()
    )
    whiten = torch.rand(1 if same else count, 82, 85).double().expand(count, -1, -1)
    return Initial(state, whiten)


def watched(folder, frames: int, people: int = 2, initial: bool = False) -> Observations:
    observations = Observations(folder)
    for i in range(frames):
        seen = {k: person(i + k) for k in range(people)}
        estimate = replace(estimates(people), whiten=torch.ones(people, 82, 85).double()) if initial else None
        if observations.add(Observed(i, i / 30, 0, np.eye(3), 1.0, seen, estimate)):
            observations.save({})
    observations.save({"last": np.array(1)})
    return observations


def test_masks_come_back_and_take_little_memory(tmp_path):
    watched(tmp_path, 200)
    again = Observations(tmp_path)
    tracemalloc.start()
    seen = again.person(1)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 400 * 128 * 128 / 2  # bytes of the masks of two people
    for i in (0, 77, 199):
        own, other = seen.detections[i], seen.others[i][0]
        assert own.mask is not None and other.mask is not None
        assert np.array_equal(own.mask.values, person(i + 1).mask.values)
        assert np.array_equal(other.mask.values, person(i).mask.values)
        assert np.array_equal(own.mask.crop(own.box, (40, 30)), person(i + 1).mask.crop(own.box, (40, 30)))


def test_the_same_uncertainty_is_kept_once(tmp_path):
    observations = watched(tmp_path, 120, initial=True)
    seen = observations.person(0)
    assert seen.initial is not None and seen.initial.whiten.shape == (120, 82, 85)
    assert seen.initial.whiten.untyped_storage().nbytes() < 2 * 8 * 82 * 85
    assert (seen.initial.whiten == 1).all()


def test_estimates_are_joined_whether_their_uncertainty_differs_or_not():
    for same in (True, False):
        parts = [estimates(count, same) for count in (3, 1, 2)]
        if same:
            parts = [replace(part, whiten=parts[0].whiten[:1].expand(len(part.state), -1, -1)) for part in parts]
        both = joined(parts)
        assert torch.equal(both.whiten, torch.cat([part.whiten for part in parts]))
        assert torch.equal(both.state.betas, torch.cat([part.state.betas for part in parts]))
        assert (both.whiten.stride(0) == 0) == same


def test_a_damaged_part_of_a_fit_is_made_again(tmp_path):
    kept, made = kept_in(tmp_path / "fit"), []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"a": np.arange(3) / 7}

    for _ in range(2):
        assert np.array_equal(kept("part", make)["a"], np.arange(3) / 7)
    assert len(made) == 1
    (tmp_path / "fit/part.npz").write_bytes(b"half")
    assert np.array_equal(kept("part", make)["a"], np.arange(3) / 7) and len(made) == 2


def test_damaged_observations_are_refused(tmp_path):
    np.savez(tmp_path / "frames_00000000.npz", number=np.arange(3))
    with pytest.raises(InputError, match="damaged; delete"):
        Observations(tmp_path)
