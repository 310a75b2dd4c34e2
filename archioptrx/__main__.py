"""`python -m archioptrx SUBCOMMAND`."""

import sys

from archioptrx.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
