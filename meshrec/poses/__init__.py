"""What is known of human poses: the pose bank, written poses, joint limits, the pose prior."""
