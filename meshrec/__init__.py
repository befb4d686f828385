"""meshrec: SMPL pose-and-shape mesh recovery."""

__version__ = "0.1.0"
