"""Data sets in their own files as sets to evaluate on: labels decide what is scored."""

import numpy as np
import pytest

import meshrec
from meshrec.data.sample import person_sample
from meshrec.evaluation import datasets, open_evaluation_set


@pytest.mark.parametrize("form", ["mpi-inf-3dhp", "h36m", "mpii", "surreal", "densepose", "humaneva"])
def test_every_format_opens_by_its_name(monkeypatch, form):
    asked = []
    sample = person_sample("a", np.zeros((8, 8, 3), np.uint8), (np.array([4.0, 4.0]), 8.0), ("left_hip",))

    def read(*arguments):
        asked.append(arguments)
        return [sample, sample]

    monkeypatch.setattr(datasets, "read_samples", read)
    body = meshrec.load_body("neutral")
    data = open_evaluation_set(f"{form}:some/folder", body, "pictures", {"male": body})
    assert asked == [(form, "some/folder", "pictures", {"male": body.hash})]
    assert len(data) == 2 and data.name == f"{form} folder" and data.joints == "lsp14" and data.search == "box"
