"""The same as ``meshrec import-checkpoint``."""

import sys

from meshrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["import-checkpoint", *sys.argv[1:]]))
