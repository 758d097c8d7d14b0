# Every target sets up what it needs by itself: a virtual environment in .venv with the pinned
# versions of constraints.txt. The second run finds it there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NATIVE := $(shell find native -name '*.cpp' -o -name '*.h')
# A change of these compiles the extension module anew.
SOURCES := CMakeLists.txt $(filter-out native/tests/%,$(NATIVE))
C_SOURCES := $(NATIVE) $(wildcard tests/shared/*.c benchmarks/*.cpp)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The tools that build the kernels are pinned too; the second name is that of newer pips.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt

.PHONY: help test slow native sanitize sanitize-all tsan neon fuzz large promises compare bench bench-quick bench-calls bench-beside bench-models pictures explore-picture lint types docs-check versions clean

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(READY): pyproject.toml constraints.txt $(SOURCES)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "unsample needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'pip>=25.1'  # knows groups; that of Python 3.11 does not
	$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@touch $@

native: $(READY) ## Compile the kernels again where their sources have changed

# The same module and native/tests/kernels_test, built with the address and undefined-behaviour sanitizers; one
# build serves both. The preloaded libraries come first because Python itself is built without. Allocations of 4 GB
# fail, as they do on a smaller machine: a sanitized process touches more of what it is given than others.
SANITIZED := LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so.6)" \
	ASAN_OPTIONS=detect_leaks=0:handle_segv=0:max_allocation_size_mb=4000:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
	PYTHONPATH=build/sanitized:native/tests/sanitized $(BIN)/python
# The gate builds one target, which takes a third of the time; sanitize-all has them all.
build/sanitized/.some: TARGETS = $(if $(shell grep -w avx2 /proc/cpuinfo),avx2,baseline);neon
build/sanitized/.some build/sanitized/.all: $(READY) $(wildcard native/tests/*)
	env -u PIP_BUILD_CONSTRAINT $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --upgrade --target build/sanitized \
		-C build-dir=build/sanitize -C cmake.define.UNSAMPLE_TESTS=ON \
		-C cmake.define.UNSAMPLE_SANITIZE=address,undefined -C 'cmake.define.UNSAMPLE_TARGETS=$(TARGETS)' .
	$(SANITIZED) -c 'import unsample._native as n; assert "build/sanitized" in n.__file__, n.__file__'
	@rm -f build/sanitized/.some build/sanitized/.all
	@touch $@

sanitize: build/sanitized/.some ## Run the kernels under the address and undefined-behaviour sanitizers
	build/sanitize/kernels_test 20 500
	build/sanitize/threads_test
	$(SANITIZED) -m pytest -q -n auto tests/native/test_conv.py tests/native/test_plans.py tests/native/test_guard.py tests/native/test_memory.py tests/native/test_fuzz.py

# Kernels and pool once more with the thread sanitizer, without Python, which is not built with it.
tsan: $(READY) ## Run the kernels and their threads under the thread sanitizer
	cmake -S . -B build/tsan -DUNSAMPLE_TESTS=ON -DUNSAMPLE_SANITIZE=thread
	cmake --build build/tsan --parallel 2 --target kernels_test threads_test
	build/tsan/threads_test
	build/tsan/kernels_test 10

sanitize-all: build/sanitized/.all tsan ## The same with every test of the compiled module, about half an hour
	build/sanitize/kernels_test 20 5000
	$(SANITIZED) -m pytest -q -n auto $(addprefix tests/native/test_,kernels.py conv.py plans.py memory.py threads.py guard.py fuzz.py) \
		tests/jax/test_kernels.py $(addprefix tests/core/test_,out.py pairs.py switches.py pool.py) $(addprefix tests/torch/test_,operators.py direct.py)

# Cross-compiled, and run by an emulator: the tier that an x86 machine has not.
neon: ## Run the kernels for ARM: needs aarch64-linux-gnu-g++ and qemu-aarch64-static
	cmake -S . -B build/neon -DUNSAMPLE_TESTS=ON -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Linux \
		-DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static
	cmake --build build/neon --parallel 2 --target kernels_test
	qemu-aarch64-static build/neon/kernels_test 50

fuzz: $(READY) ## Call every function with arguments of all kinds, inspect changed model files; a signal is a failure
	PYTHONPATH=tests/shared $(BIN)/python tests/native/test_fuzz.py 5000
	$(BIN)/python tests/shared/fuzz_files.py 5000
	PYTHONPATH=tests/shared $(BIN)/python tests/native/test_plans.py 20000

test: $(READY) ## Run the tests, doctests and executed documentation
	$(BIN)/python -m pytest -n auto

slow: $(READY) ## Run what `make test` has only a part of
	$(BIN)/python -m pytest -n auto -m slow

promises: $(READY) ## Write docs/reliability.md from the tests that hold its rows
	$(BIN)/python tests/shared/promises.py

large: $(READY) ## Try arrays of more than 2**31 elements: needs 8 GB, about a minute
	UNSAMPLE_LARGE=1 $(BIN)/python -m pytest -q tests/core/test_growth.py -k 31_elements

compare: $(READY) ## Train the same encoder-decoder with each way up, on real photographs
	$(BIN)/unsample compare

pictures: $(READY) ## Draw the pictures of the docs by the commands that stand above them
	$(BIN)/python docs/draw_pictures.py

bench: $(VENV)/.bench ## Measure every workload against every library, about half an hour
	$(BIN)/python benchmarks/run.py

bench-quick: $(VENV)/.bench ## Measure a part in under 2 minutes; AGAINST=FOLDER measures another unsample in turn
	$(BIN)/python benchmarks/run.py --quick --against "$(AGAINST)"

bench-calls: $(READY) ## Measure small calls, one thread; AGAINST=FOLDER measures another unsample in turn
	$(BIN)/python benchmarks/calls.py --against "$(AGAINST)"

bench-beside: $(READY) ## Measure every workload between operators of torch, in its process, about 3 minutes
	$(BIN)/python benchmarks/beside_torch.py --write

bench-models: $(READY) ## Measure whole models before and after accelerate, about 5 minutes
	$(BIN)/python benchmarks/whole_models.py

$(VENV)/.bench: $(READY)
	$(BIN)/python -m pip install --quiet openvino
	@touch $@

explore-picture: $(READY) ## Take docs/pictures/explore.png anew, with the Chromium of the system
	$(BIN)/python docs/explore_picture.py

lint: $(READY) ## Check style, formatting and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(C_SOURCES)
	$(BIN)/oxfmt --check 'src/unsample/explore/*.js' 'src/unsample/explore/*.css'
	$(BIN)/codespell

types: $(READY) ## Check types
	$(BIN)/mypy

docs-check: $(READY) ## Execute the README, the docs and the examples alone
	$(BIN)/python -m pytest -n auto tests/house/test_docs.py

versions: $(READY) ## Test the lowest and highest version of every dependency, about 30 minutes
	$(BIN)/python tests/house/versions.py

clean: ## Remove the environment and all caches
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
