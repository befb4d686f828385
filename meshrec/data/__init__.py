"""Training and test data: motion capture, poses, samples and their mixing."""
