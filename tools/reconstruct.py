"""The same as ``meshrec reconstruct``."""

import sys

from meshrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["reconstruct", *sys.argv[1:]]))
