"""`python -m mirscope` is the command `mirscope`."""

import sys

from mirscope.cli import main

if __name__ == "__main__":
    sys.exit(main())
