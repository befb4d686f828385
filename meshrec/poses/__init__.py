"""Human poses: the pose bank of motion capture, authored poses, joint limits and the pose prior."""
