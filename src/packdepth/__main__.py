"""The command line, as `python -m packdepth`."""

import sys

from packdepth.cli import main

if __name__ == "__main__":
    sys.exit(main())
