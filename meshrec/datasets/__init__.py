"""Readers of the field's datasets: one file a format, each making :class:`meshrec.data.sample.Samples`."""
