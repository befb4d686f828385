"""The same as ``meshrec export``."""

import sys

from meshrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
