"""`python -m archioptrx.search`: the main job, the same as `archioptrx search`."""

import os
import sys

if sys.path[:1] == [os.getcwd()]:  # Python puts the current folder first: a file there would be taken for a library
    sys.path.append(sys.path.pop(0))

from archioptrx.commands.search import main

if __name__ == "__main__":
    sys.exit(main())
