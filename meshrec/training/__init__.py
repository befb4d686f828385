"""Training: data to checkpoint. Nothing here loads Lightning until a training starts."""
