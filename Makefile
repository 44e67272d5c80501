# Everything sets itself up: a virtual environment in .venv, with the versions (and hashes) of requirements/*.txt.
#
#   make demo          the main job, on a simulated backend on this machine
#   make test          lint, types, layers and tests
#   make lint          the first three of them
#   make conformance   the official package's own tests, on every Python and openai version (minutes)
#   make bench         measure it beside its peers; writes docs/performance.md (about three minutes)
#   make faults        what it and its peers do when things fail; writes docs/reliability.md (minutes)
#   make soak          many callers on a backend that fails (MINUTES=10); nothing wrong, nothing left behind
#   make fuzz          odd bytes for whatever reads foreign ones, with atheris where it can be installed (minutes)
#   make lock          write requirements/*.txt anew, after a change of pyproject.toml
#   make clean         remove what the others made
#
# PYTHON=… chooses the interpreter, 3.11 or newer. Once there is a .venv of another, `rm -rf .venv` comes first.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# Another environment that happens to be active must not be used for any of this.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

# A name on PATH may be a stub that starts nothing, so each is tried.
RUNS_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
PYTHON ?= $(shell for each in python3.11 python3 python3.13 python3.12 python3.14 python; do \
	$$each $(RUNS_ENOUGH) && echo $$each && break; done)

VENV := .venv
BIN := $(VENV)/bin
# Twice quiet: errors only.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
DEMO_READY := $(VENV)/.demo-is-installed
DEV_READY := $(VENV)/.dev-is-installed
UV := .cache/lock/bin/uv
UV_VERSION := 0.13.9

# The official tests on the official classes: it judges the runner, not this package. `make conformance` has it.
CONTROL := tests/conformance/test_upstream.py::test_the_official_tests_deviate_only_as_listed[off]

.PHONY: help demo test lint conformance bench faults soak fuzz lock clean environment

help:
	@sed -n '3,14s/^# \{0,1\}//p' Makefile

demo: $(DEMO_READY)
	@$(BIN)/codex-backend demo

test: lint .cache/upstream-is-fetched
	$(BIN)/python -m pytest -n auto --dist worksteal --deselect "$(CONTROL)"

lint: $(DEV_READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

conformance: $(DEV_READY)
	$(BIN)/python scripts/conformance.py

# Each peer has an environment of its own in .cache/bench, so nothing is needed here but an interpreter.
bench: | environment
	$(BIN)/python -m bench

# Each peer has its environment; this package and the simulator are those of the tests.
faults: $(DEV_READY)
	$(BIN)/python -m bench.faults

MINUTES := 10
soak: $(DEV_READY)
	$(BIN)/python -m bench.soak --minutes $(MINUTES)

# Without atheris the loop of its own finds less. SECONDS_EACH=… for each of the targets.
fuzz: $(DEV_READY)
	@$(PIP) install 'atheris>=3' 2>/dev/null || echo "atheris cannot be installed here; going on without." >&2
	$(BIN)/python -m fuzz --seconds $(or $(SECONDS_EACH),20)

# Without them the tests that need them say so and are skipped; the next run tries again.
.cache/upstream-is-fetched: $(DEV_READY)
	@mkdir -p .cache
	@version=$$($(BIN)/python -c 'from importlib.metadata import version; print(version("openai"))') \
	&& $(BIN)/python scripts/fetch_upstream_tests.py "$$version" >.cache/fetch.log 2>&1 \
	&& touch $@ \
	|| echo "Warning: the official tests were not fetched (.cache/fetch.log says why); they will be skipped." >&2

# --- set-up ----------------------------------------------------------------------------------------------------

# The demo's versions are a part of those for development, so the two can follow each other in one environment.
$(DEMO_READY): requirements/demo.txt pyproject.toml | environment
	@echo "Installing what the demo needs into $(VENV) (about half a minute)"
	@$(PIP) install --require-hashes -r requirements/demo.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_READY): requirements/dev.txt pyproject.toml | environment
	@echo "Installing what the tests need into $(VENV)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" && $(PYTHON) $(RUNS_ENOUGH) || { \
		echo "This needs Python 3.11 or newer: $(if $(PYTHON),$(PYTHON) is not,none was found on PATH)." >&2; \
		echo "Say where it is: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
		echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu, install python3-venv." >&2; \
		rm -rf $(VENV); exit 1; }

# Who names an interpreter does not want that of an environment which happens to be there.
SAYS_WHICH := -c 'import platform; print(platform.python_implementation(), platform.python_version())'
environment: | $(BIN)/python
ifneq ($(origin PYTHON),file)
	@wanted="$$($(PYTHON) $(SAYS_WHICH))" || wanted="none that starts"; found="$$($(BIN)/python $(SAYS_WHICH))"; \
	test "$$wanted" = "$$found" || { \
		echo "PYTHON=$(PYTHON) is $$wanted, but $(VENV) was made with $$found." >&2; \
		echo "Leave PYTHON out to go on with that, or make another: rm -rf $(VENV)" >&2; exit 1; }
endif

# --- the lock --------------------------------------------------------------------------------------------------

COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-config --no-emit-index-url --no-emit-find-links

# `make lock UPGRADE=--upgrade` takes the newest versions; without it those that still fit are kept.
lock: $(UV)
	$(COMPILE) $(UPGRADE) pyproject.toml scripts/conformance-requirements.txt --all-extras --group dev \
		--output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --extra cli --extra testing --group build --constraint requirements/dev.txt \
		--output-file requirements/demo.txt

$(UV): Makefile | environment
	@$(BIN)/python -m venv --clear .cache/lock
	@.cache/lock/bin/python -m pip --disable-pip-version-check --quiet install uv==$(UV_VERSION)
	@touch $@

clean:
	rm -rf $(VENV) .cache build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
