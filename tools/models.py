"""The same as ``meshrec models``."""

import sys

from meshrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["models", *sys.argv[1:]]))
