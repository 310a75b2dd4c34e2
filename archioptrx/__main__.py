"""`python -m archioptrx SUBCOMMAND`."""

import os
import sys

if sys.path[:1] == [os.getcwd()]:  # Python puts the current folder first: a file there would be taken for a library
    sys.path.append(sys.path.pop(0))

from archioptrx.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
