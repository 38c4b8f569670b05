"""``python -m quietpixel`` is the command ``quietpixel``."""

import sys

from quietpixel.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
