"""Helpers for compiled code: numba kernels, operators of torch, threads over a batch, devices."""
