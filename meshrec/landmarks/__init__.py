"""Landmarks of a posed body and their derivatives, and where detectors and annotators see them on it."""
