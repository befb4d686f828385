"""Many photos into a folder: listing inputs, resuming, processes, result files, progress."""
