"""Readers of datasets, one file per format. Each returns :class:`meshrec.data.sample.Samples`."""
