"""Where detectors and annotators see landmarks on the body, and how posed landmarks change with pose and shape."""
