"""Many photos to result files: listing inputs, resuming, worker processes, writing results, progress."""
