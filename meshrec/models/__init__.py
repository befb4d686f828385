"""Networks, and what is learned or known about poses."""
