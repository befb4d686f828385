"""The same as ``meshrec convert-body``."""

import sys

from meshrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert-body", *sys.argv[1:]]))
