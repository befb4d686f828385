"""The same as ``meshrec benchmark``."""

import sys

from meshrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["benchmark", *sys.argv[1:]]))
