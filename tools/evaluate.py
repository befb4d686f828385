"""The same as ``meshrec evaluate``."""

import sys

from meshrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
