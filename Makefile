# Every target sets up what it needs by itself: a virtual environment in .venv with the pinned
# versions of constraints.txt. The second run finds it there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A change of these compiles the extension module anew.
NATIVE := CMakeLists.txt $(wildcard native/*.cpp native/*.h native/kernels/*)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help native test compare bench bench-quick lint types docs-check clean

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt $(NATIVE)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "unsample needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

test: $(READY) ## Run the tests, doctests and executed documentation
	$(BIN)/python -m pytest -n auto

compare: $(READY) ## Train the same encoder-decoder with each way up, on real photographs
	$(BIN)/unsample compare

native: $(READY) ## Compile the kernels, where their source has changed

bench: $(VENV)/.bench ## Measure every workload against every library, about half an hour
	$(BIN)/python benchmarks/run.py

bench-quick: $(VENV)/.bench ## Measure a part in under 2 minutes
	$(BIN)/python benchmarks/run.py --quick

$(VENV)/.bench: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt onnx onnxruntime openvino
	@touch $@

lint: $(READY) ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## Check types
	$(BIN)/mypy

docs-check: $(READY) ## Execute the README, the docs and the examples alone
	$(BIN)/python -m pytest -n auto tests/test_docs.py

clean: ## Remove the environment and all caches
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
