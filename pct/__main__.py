"""python -m pct: the command line."""

import sys

from pct.cli import main

if __name__ == "__main__":
    sys.exit(main())
