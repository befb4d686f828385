"""Shared helpers of the tests: people, scenes, networks and files."""
