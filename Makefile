# Every target sets up what it needs by itself: a virtual environment in .venv with the pinned
# versions of constraints.txt. The second run finds it there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A change of these compiles the extension module anew.
SOURCES := CMakeLists.txt $(wildcard native/*.cpp native/*.h native/kernels/*.cpp native/kernels/*.h)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The tools that build the kernels are pinned too; the second name is that of newer pips.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt

.PHONY: help test native sanitize fuzz compare bench bench-quick bench-models pictures explore-picture lint types docs-check clean

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt $(SOURCES)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "unsample needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

native: $(READY) ## Compile the kernels again where their sources have changed

sanitize: ## Run the kernels alone under the address and undefined-behaviour sanitizers
	cmake -S . -B build/sanitize -DUNSAMPLE_TESTS=ON -DUNSAMPLE_SANITIZE=address,undefined
	cmake --build build/sanitize --parallel 2 --target kernels_test
	build/sanitize/kernels_test 20

fuzz: $(READY) ## Call every function with arguments of all kinds; a signal is a failure
	$(BIN)/python tests/test_fuzz.py 5000

test: $(READY) ## Run the tests, doctests and executed documentation
	$(BIN)/python -m pytest -n auto

compare: $(READY) ## Train the same encoder-decoder with each way up, on real photographs
	$(BIN)/unsample compare

pictures: $(READY) ## Draw the pictures of the docs by the commands that stand above them
	$(BIN)/python docs/draw_pictures.py

bench: $(VENV)/.bench ## Measure every workload against every library, about half an hour
	$(BIN)/python benchmarks/run.py

bench-quick: $(VENV)/.bench ## Measure a part in under 2 minutes
	$(BIN)/python benchmarks/run.py --quick

bench-models: $(READY) ## Measure whole models before and after accelerate, about 5 minutes
	$(BIN)/python benchmarks/whole_models.py

$(VENV)/.bench: $(READY)
	$(BIN)/python -m pip install --quiet openvino
	@touch $@

explore-picture: $(READY) ## Take docs/pictures/explore.png anew, with the Chromium of the system
	$(BIN)/python docs/explore_picture.py

lint: $(READY) ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## Check types
	$(BIN)/mypy

docs-check: $(READY) ## Execute the README, the docs and the examples alone
	$(BIN)/python -m pytest -n auto tests/test_docs.py

clean: ## Remove the environment and all caches
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
