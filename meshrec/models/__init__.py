"""Networks that estimate bodies, their files, and published weights."""

from pathlib import Path


def weights_folder() -> Path:
    """Where the shipped networks lie."""
    return Path(__file__).parent / "weights"
