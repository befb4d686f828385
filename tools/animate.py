"""The same as ``meshrec animate``."""

import sys

from meshrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["animate", *sys.argv[1:]]))
