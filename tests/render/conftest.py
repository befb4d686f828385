import pytest
from helpers.scenes import NATIVE


@pytest.fixture(params=NATIVE)
def backend(request: pytest.FixtureRequest) -> str:
    """Each of the renderer's own backends in turn; PyTorch3D's has a file of its own."""
    return request.param
