"""Speed on this machine, against other libraries where they are installed."""
