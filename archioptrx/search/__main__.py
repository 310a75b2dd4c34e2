"""`python -m archioptrx.search`: the main job, the same as `archioptrx search`."""

import sys

from archioptrx.commands.search import main

if __name__ == "__main__":
    sys.exit(main())
