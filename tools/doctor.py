"""The same as ``meshrec doctor``."""

import sys

from meshrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["doctor", *sys.argv[1:]]))
