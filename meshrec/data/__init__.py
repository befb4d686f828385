"""Samples and batches of labelled people, augmentation, and mixing of datasets."""
