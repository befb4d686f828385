"""The same as ``meshrec body``."""

import sys

from meshrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["body", *sys.argv[1:]]))
