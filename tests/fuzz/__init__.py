"""Random hostile files, for the readers that meet files of strangers."""
