"""Looking at results in 3D, in a browser. What is shown is read from result files alone."""
