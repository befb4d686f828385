"""Samples and batches of labelled people, their mixing and augmentation."""
