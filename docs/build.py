"""Builds the documentation; a warning, such as a link that leads nowhere, ends it.

python docs/build.py [FOLDER] [--runtime PATH] [--no-engine]    # build/docs without FOLDER
"""

import argparse
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
    given = read_arguments()
    site = given.folder.absolute()
    try:
        build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(site)))
    except Abort as stopped:
        print(f"The documentation was not built: {stopped}", file=sys.stderr)
        return 1
    add_engine(site / "lessons" / "engine", given)
    print(f"The documentation is in {site / 'index.html'}.")
    return 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build the documentation.")
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "build" / "docs")
    parser.add_argument(
        "--runtime", type=Path, help="package onnxruntime-web [default: fetched by npm]"
    )
    parser.add_argument(
        "--no-engine",
        dest="engine",
        action="store_false",
        help="build the lessons without models; they then say so",
    )
    return parser.parse_args()


def add_engine(folder: Path, given: argparse.Namespace) -> None:
    """Add what the lessons compute with; without models, their pages say so."""
    from lesson_pages import write_engine, write_scripts

    from quietpixel import QuietpixelError

    try:
        if given.engine:
            return write_engine(folder, given.runtime)
    except QuietpixelError as error:
        print(f"The lessons are built without models: {error}", file=sys.stderr)
    return write_scripts(folder)


if __name__ == "__main__":
    sys.exit(main())
