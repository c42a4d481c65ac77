"""`python -m freehold.testing.unruly`."""

import sys

from freehold.testing.unruly.flags import read_flags
from freehold.testing.unruly.server import serve

if __name__ == "__main__":
    sys.exit(serve(read_flags(sys.argv[1:])))
