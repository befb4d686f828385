"""Genders as files spell them."""

import numpy as np
import pytest

from meshrec.body.genders import gender_named


@pytest.mark.parametrize("word", ["male", "MALE", "m", "M", b"male", b"m", " Male\n", np.str_("male"), np.bytes_(b"M")])
def test_what_is_understood(word):
    assert gender_named(word) == "male"


@pytest.mark.parametrize("word", ["", "1", 1, 0, "man", "mal", "females", "b'male'", None, b"\xff"])
def test_what_is_not(word):
    assert gender_named(word) is None
