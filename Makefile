# Everything a developer and CI run. `make` alone lists it.
# Needs only Python 3.11 or newer (with venv) and make; the rest goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup install demo test test-all check docs format bench bench-quick release-check sbom lock

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | column -t -s @ 2>/dev/null \
	|| sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1: \2/p' Makefile

setup: ## install the locked versions into .venv (every command below does this by itself)
	@cat requirements.lock pyproject.toml | cmp -s - $(VENV)/installed || $(MAKE) --no-print-directory install

# The two files it was made from are kept in .venv, so that it is made again only when they change.
install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "quietpixel needs Python 3.11 or newer as $(PYTHON); name another one with 'make setup PYTHON=python3.12'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "Python's venv is missing; install it first (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "Installing the locked versions into $(VENV); this happens once and takes a few minutes."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@cat requirements.lock pyproject.toml > $(VENV)/installed

demo: setup ## train on the embedded digits, judge and show, in at most three minutes
	@$(BIN)/quietpixel demo

test: setup ## the fast tests
	@$(BIN)/python -m pytest

test-all: setup ## the fast and the slow tests
	@$(BIN)/python -m pytest -m ""

check: setup ## lint, format, types, architecture, documentation
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/test_architecture.py tests/test_guides.py tests/test_docs.py
	@$(BIN)/python docs/build.py

docs: setup ## the documentation as pages, into build/docs; a warning is an error
	@$(BIN)/python docs/build.py

format: setup ## put the code into its one format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: setup ## every benchmark, an hour; QUIETPIXEL_DATA names the folder of the data sets
	@$(BIN)/python benchmarks/run_all.py

bench-quick: setup ## the benchmarks with few images: about five minutes
	@$(BIN)/python benchmarks/run_all.py --quick

release-check: setup ## build the release, try it in new environments: base and every extra alone; PYTHONS names interpreters
	@$(BIN)/python .ci/release_check.py build/release $(PYTHONS)

sbom: ## the parts of a base installation as CycloneDX, after release-check
	@test -d build/release/try-0 || { echo "Run 'make release-check' first." >&2; exit 1; }
	@build/release/tools/bin/cyclonedx-py environment build/release/try-0/venv/bin/python \
	--pyproject pyproject.toml --output-reproducible --output-file build/release/quietpixel.cdx.json
	@echo "build/release/quietpixel.cdx.json"

lock: ## write requirements.lock again, with the newest versions (needs uv)
	@uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 \
	--extra train --extra onnxruntime --extra web --extra cluster --group dev --group docs --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet -o requirements.lock
	@uv pip compile --group release --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet -o requirements-release.lock
