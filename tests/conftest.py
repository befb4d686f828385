import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of photos, motion and calibrated frames that lies beside a development checkout."""
    if not SHARED.is_dir():
        pytest.skip("needs the development data in ../shared")
    return SHARED
