"""The literature's ways from picture to pose, trained and measured on the same people, as docs/comparison.md says."""
