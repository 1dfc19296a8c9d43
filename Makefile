# make demo       install into .venv and run the main job: posterior, report and figures in ./bayescg-demo
# make test       install the test extra into .venv and run every check and every test (two cores, minutes)
# make check      format, lint, types and layers only
# make calibrate  slow statistical calibration of intervals and samplers
# make benchmark  one script per claim; prints machine, versions and ratios
# make clean      remove .venv and caches
#
# PYTHON=... picks another interpreter (3.11 or newer).

SHELL := bash
.SHELLFLAGS := -o pipefail -ec
.DEFAULT_GOAL := test
.PHONY: demo test check lint types calibrate benchmark clean

# a shim of a version manager may exist without working, so each candidate is run once
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3.11 python3; do \
	$$name -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && echo $$name && break; done)

BIN := .venv/bin

# what Python compiles of packages is kept, wherever the environment says otherwise: every process of a run would
# compile it again, which takes ten seconds
export PYTHONDONTWRITEBYTECODE :=
INSTALLED := .venv/installed
INSTALLED_TEST := .venv/installed-test
WORKERS ?= 2

# one line for each package instead of silence; pip's errors pass through. Python compiles what it imports: all of
# it beforehand would take a third of the time of an installation
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --no-compile \
	-c constraints.txt
PIP_LINES := { grep --line-buffered -E '^(Collecting|Building|Installing)' || true; }

demo: $(INSTALLED)
	$(BIN)/bayescg demo

# Tests compile more than they compute: XLA's older code generator without optimisation needs a third of the time.
# The few that compute more are marked `computing` and get light optimisation. What one process of a run compiled, the
# others find in COMPILED, which every run begins empty.
COMPILED := .pytest_cache/compiled
OLDER := --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1
SHARED := JAX_COMPILATION_CACHE_DIR=$(CURDIR)/$(COMPILED) JAX_COMPILATION_CACHE_MAX_SIZE=4000000000 \
	JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0.2

# One file goes to one worker: what a file compiles, it compiles once. Long files come first (conftest.py). A worker
# that dies ends the run.
PYTEST := $(SHARED) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	--max-worker-restart 0 --durations 10

COMPUTING = $$(grep -rl mark.computing --include='*.py' tests)

PYRIGHT = $(BIN)/pyright --pythonpath $(BIN)/python

# types are checked beside the last tests, whose few files leave a core without work
test: lint
	@rm -rf $(COMPILED)
	XLA_FLAGS='$(OLDER) --xla_backend_optimization_level=0' $(PYTEST) -m 'not calibration and not computing'
	$(PYRIGHT) & types=$$!; \
	XLA_FLAGS='$(OLDER) --xla_backend_optimization_level=1' $(PYTEST) -m 'computing and not calibration' $(COMPUTING); \
	wait $$types

check: lint types

lint: $(INSTALLED_TEST)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

types: $(INSTALLED_TEST)
	$(PYRIGHT)

calibrate: $(INSTALLED_TEST)
	$(BIN)/python -m pytest -m calibration -n $(WORKERS) --dist load --max-worker-restart 0 \
		-o faulthandler_timeout=3600 --durations 10

benchmark: $(INSTALLED_TEST)
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

clean:
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	@$(if $(PYTHON),,echo 'bayescg needs Python 3.11 or newer: install it, or name it with make PYTHON=...' >&2; exit 1)
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo '$(PYTHON) is older than 3.11: name a newer one with make PYTHON=...' >&2; exit 1; }
	$(PYTHON) -m venv .venv

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing bayescg into .venv (minutes on a fresh machine)'
	$(PIP_INSTALL) -e . | $(PIP_LINES)
	@touch $@

$(INSTALLED_TEST): pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing bayescg and its test extra into .venv (minutes on a fresh machine)'
	$(PIP_INSTALL) -e '.[test]' | $(PIP_LINES)
	@touch $(INSTALLED) $@
