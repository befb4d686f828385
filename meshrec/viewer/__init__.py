"""Looking at results in a browser: the viewer in 3D, which reads result files alone, and the demo."""
