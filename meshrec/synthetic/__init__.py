"""Synthetic people: bodies of random shape in poses of motion capture and authored poses, seen by random cameras."""
