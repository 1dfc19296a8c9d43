"""`python -m bayescg` is the command `bayescg`."""

import sys

from bayescg.cli import main

if __name__ == "__main__":
    sys.exit(main())
