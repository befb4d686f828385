"""Folders that tests read from."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"  # development data beside the checkout; see docs/tests.md
EXAMPLES, CONFIGS, TOOLS = ROOT / "examples", ROOT / "configs", ROOT / "tools"
STORED = Path(__file__).parent / "stored"  # outputs of other programs, and files in their formats
