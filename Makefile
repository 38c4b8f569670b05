# Everything a developer and CI run. `make` alone lists it.
# Needs only Python 3.11 or newer (with venv) and make; the rest goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup install demo test test-all mutations check docs docs-serve format bench bench-quick release-check sbom lock

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | column -t -s @ 2>/dev/null \
	|| sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1: \2/p' Makefile

setup: ## install the locked versions into .venv (every command below does so first)
	@cat requirements.lock pyproject.toml | cmp -s - $(VENV)/installed || $(MAKE) --no-print-directory install

# .venv keeps the two files it was made from, so that it is made again only when they change.
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

demo: setup ## train on digits, denoise a noisy photo, write a report: a few minutes
	@$(BIN)/quietpixel demo

# Tests of one module share fixtures such as a trained run, so they stay in one process. Three keep
# two cores busy, because tests wait for servers, browsers and workers in a third of the time; in
# the order of tests/conftest.py, the slowest modules first.
PARALLEL := -n 3 --dist loadscope --no-loadscope-reorder
# A process for each core has nothing to gain from threads, which would wait for each other.
# Without bytecode, each command that a test starts would compile the package anew.
TEST_ENV := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 PYTHONDONTWRITEBYTECODE=

# tf2onnx copies the graph before each optimisation to survive one that fails: two fifths of the time of an
# export. Here such a failure is an error; test-all exports as users do.
test: setup ## the fast tests, in parallel
	@$(TEST_ENV) TF2ONNX_CATCH_ERRORS=FALSE $(BIN)/python -m pytest $(PARALLEL)

test-all: setup ## the fast and the slow tests, with more Hypothesis examples
	@$(TEST_ENV) HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest $(PARALLEL) -m ""

mutations: setup ## wrong lines that the fast tests must notice, each tried in a copy of the source
	@$(BIN)/python benchmarks/mutations.py

check: setup ## lint, format, types, architecture, documentation
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/test_architecture.py tests/test_guides.py tests/test_docs.py
	@$(BIN)/python docs/build.py --no-engine

docs: setup ## build the documentation into build/docs; a warning is an error
	@$(BIN)/python docs/build.py

docs-serve: docs ## build the documentation and serve it at http://localhost:8000, lessons included
	@$(BIN)/python -m http.server --bind localhost --directory build/docs 8000

format: setup ## format the code and apply automatic fixes
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: setup ## all benchmarks, less than two hours; QUIETPIXEL_DATA names the folder with the data sets
	@$(BIN)/python benchmarks/run_all.py

bench-quick: setup ## the benchmarks on few images, about five minutes
	@$(BIN)/python benchmarks/run_all.py --quick

release-check: setup ## build the release and try it in new environments, base and each extra alone; PYTHONS names interpreters
	@$(BIN)/python .ci/release_check.py build/release $(PYTHONS)

sbom: ## list the components of a base installation (CycloneDX), after release-check
	@test -d build/release/try-0 || { echo "Run 'make release-check' first." >&2; exit 1; }
	@build/release/tools/bin/cyclonedx-py environment build/release/try-0/venv/bin/python \
	--pyproject pyproject.toml --output-reproducible --output-file build/release/quietpixel.cdx.json
	@echo "build/release/quietpixel.cdx.json"

lock: ## update requirements.lock to the newest versions (needs uv)
	@uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 \
	--extra train --extra onnxruntime --extra web --extra cluster --extra raw --extra heif --extra codecs --extra science --group dev --group docs --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet -o requirements.lock
	@uv pip compile --group release --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet -o requirements-release.lock
