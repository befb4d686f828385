"""People drawn from motion capture, authored poses and random shapes, seen by random cameras: endless and free."""
