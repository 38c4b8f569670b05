"""Builds the documentation; a warning, such as a link that leads nowhere, ends it.

python docs/build.py [FOLDER]    # build/docs without one
"""

import logging
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # material's notice about another project
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        site = Path(*sys.argv[1:2] or [ROOT / "build" / "docs"]).absolute()
        build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(site)))
    except Abort as stopped:
        print(f"The documentation was not built: {stopped}", file=sys.stderr)
        return 1
    print(f"The documentation is in {site / 'index.html'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
