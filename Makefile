# Every target sets itself up: a virtual environment in .venv, with the versions and hashes of requirements/*.txt.
# PYTHON=... chooses the interpreter, 3.11 or newer; an existing .venv of another one must be removed first (make clean).
#
# For users
#   make demo          run the main features on a simulated backend on this machine
#
# For contributors
#   make test          lint, types, layers and tests: exactly what CI runs
#   make lint          lint, types and layers
#   make coverage      100 % branch coverage of the modules that do no I/O
#   make site          build the documentation site (build/site/html/index.html)
#   make pictures      draw the terminal pictures of the documentation again
#   make lock          update requirements/*.txt after a change of pyproject.toml (UPGRADE=--upgrade: newest versions)
#   make clean         remove everything that the other targets created
#
# Long checks (minutes each)
#   make release-check  what a release publishes: contents, metadata, and runs on each Python of this machine
#   make lowest        the tests on the lowest versions that pyproject.toml declares
#   make conformance   the official package's own tests on this client, on every Python and openai version
#   make soak          many callers on a backend that fails (MINUTES=10): checks for errors and leaks
#   make fault-run     a conversation of 300 turns on a backend that fails at random (TURNS=300 SEED=1)
#   make fuzz          malformed input for everything that parses foreign bytes (SECONDS_EACH=20)
#   make faults        this client and its peers under faults; writes docs/fault-comparison.md
#   make integrations  other libraries on this client, clients on the simulator, programs on the server (ONLY="llm …")
#   make bench         this client and its peers in one run; writes docs/performance.md

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# An active environment must not leak into the one in .venv.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV
# Without cached bytecode, each test worker compiles all tests, and each program that a test starts compiles the package.
unexport PYTHONDONTWRITEBYTECODE

# A name on PATH may be a stub that does not start (pyenv's shims), so each candidate is tried.
IS_SUPPORTED := -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
PYTHON ?= $(shell for each in python3.11 python3 python3.13 python3.12 python3.14 python; do \
	$$each $(IS_SUPPORTED) && echo $$each && break; done)

VENV := .venv
BIN := $(VENV)/bin
LOUD_PIP := $(BIN)/python -m pip --disable-pip-version-check
PIP := $(LOUD_PIP) --quiet --quiet
# One dot for each package that pip downloads. A pipe has the exit code of its last command.
SHOW_DOTS := awk '/^Collecting / {printf "."; fflush()} /^Installing / {printf " installing"; fflush()} \
	/^ERROR/ {print ""; print} /^FAILED$$/ {failed = 1} END {print ""; exit failed}'
DEMO_READY := $(VENV)/.demo-is-installed
DEV_READY := $(VENV)/.dev-is-installed
UV := .cache/lock/bin/uv
UV_VERSION := 0.13.9

# The official tests on the official client. They check the runner, not this package; `make conformance` runs them.
CONTROL := tests/conformance/test_upstream.py::test_official_tests_deviate_only_as_listed[off]

# Tests of the modules that do no I/O. They take about 20 seconds.
PURE_TESTS := $(addprefix tests/,$(addsuffix .py, \
	test_body_buffer test_catalog test_coerce test_history test_json test_redaction test_timefmt \
	chat/test_chunks chat/test_chat_completion chat/test_chat_messages chat/test_parameters \
	auth/test_auth_json auth/test_device_code auth/test_jwt auth/test_login_arguments auth/test_oauth \
	batch/test_key_index batch/test_lines batch/test_schedule \
	cli/chat/test_message_text cli/terminal/test_code_highlight cli/terminal/test_escape_filter cli/terminal/test_footer \
	cli/terminal/test_markdown_blocks cli/terminal/test_markdown_spans cli/terminal/test_markdown_stream \
	conversation/test_compaction conversation/test_export conversation/test_state \
	errors/test_advice errors/test_classify errors/test_error_text errors/test_retry_policy \
	limits/test_limit_parsing limits/test_usage_html limits/test_usage_plot \
	request/test_input_items request/test_instructions request/test_prompt_cache \
	request/test_routes request/test_shaping request/test_strict_schemas routing/test_workspace_parsing \
	server/test_adaptation server/test_api_errors server/test_changes server/test_dialects server/test_reasoning_memory \
	streaming/test_accumulator streaming/test_sse \
	tools/test_calls tools/test_docstrings tools/test_function_tool tools/test_outputs tools/test_run_loop tools/test_schema \
	websocket/test_frames websocket/test_incremental websocket/test_response_messages))

.PHONY: help demo test lint style types-mypy types-pyright coverage collection site pictures release-check lowest conformance bench faults soak fault-run fuzz integrations lock clean environment

help:
	@sed -n '4,28s/^# \{0,1\}//p' Makefile

demo: $(DEMO_READY)
	@$(BIN)/codex-backend demo

# uv is for the test of the lowest versions, which is skipped without it. The checks before the tests have a process
# each, so they run at the same time; the tests use all processors.
test: $(DEV_READY) .cache/upstream-is-fetched $(UV)
	$(MAKE) --no-print-directory --jobs=4 lint coverage collection
	$(BIN)/python -m pytest -n auto --dist worksteal --deselect "$(CONTROL)"

# 100 % branch coverage of the modules that do no I/O (pyproject.toml lists them), by their own tests alone.
coverage: $(DEV_READY)
	$(BIN)/python -m coverage run -m pytest -q --no-header $(PURE_TESTS)
	$(BIN)/python -m coverage report

# Cache the bytecode of the tests, so that the test workers do not each compile it, and find import errors early.
collection: $(DEV_READY)
	@mkdir -p .cache
	$(BIN)/python -m pytest --collect-only --quiet --quiet >.cache/collection.log || { cat .cache/collection.log; exit 1; }

lint: style types-mypy types-pyright

style: $(DEV_READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo

types-mypy: $(DEV_READY)
	$(BIN)/mypy

types-pyright: $(DEV_READY)
	$(BIN)/pyright

# `make test` builds it, too, and checks its links and its width on a phone (tests/test_site.py).
site: $(DEV_READY)
	@$(BIN)/python scripts/build_site.py

pictures: $(DEV_READY)
	$(BIN)/python scripts/terminal_pictures.py

# The release workflow runs it before it uploads. A part of it is in `make test` (tests/test_release.py).
release-check: $(DEV_READY) $(UV)
	$(BIN)/python scripts/release_check.py

lowest: $(DEV_READY) $(UV)
	$(BIN)/python scripts/lowest_versions.py --uv $(UV) --tests

conformance: $(DEV_READY)
	$(BIN)/python scripts/conformance.py

# Each peer gets an environment of its own in .cache/bench, so an interpreter is all that this target needs.
bench: | environment
	$(BIN)/python -m bench

faults: $(DEV_READY)
	$(BIN)/python -m bench.faults

# Each library gets an environment of its own in .cache/integrations, with its newest version.
integrations: $(UV)
	$(BIN)/python -m integrations $(ONLY)

MINUTES := 10
soak: $(DEV_READY)
	$(BIN)/python -m bench.soak --minutes $(MINUTES)

TURNS := 300
SEED := 1
fault-run: $(DEV_READY)
	FAULT_RUN_TURNS=$(TURNS) FAULT_RUN_SEED=$(SEED) $(BIN)/python -m pytest -q -s tests/websocket/test_fault_run.py

# atheris is optional: without it, a mutation loop in pure Python runs and finds less.
fuzz: $(DEV_READY)
	@$(PIP) install 'atheris>=3' 2>/dev/null || echo "atheris cannot be installed here; continuing without it." >&2
	$(BIN)/python -m fuzz --seconds $(or $(SECONDS_EACH),20)

# Without the official tests, the conformance tests are skipped with this reason; the next run tries to fetch them again.
.cache/upstream-is-fetched: $(DEV_READY)
	@mkdir -p .cache
	@version=$$($(BIN)/python -c 'from importlib.metadata import version; print(version("openai"))') \
	&& $(BIN)/python scripts/fetch_upstream_tests.py "$$version" >.cache/fetch.log 2>&1 \
	&& touch $@ \
	|| echo "Warning: cannot fetch the official tests (see .cache/fetch.log); they are skipped." >&2

# --- set-up ----------------------------------------------------------------------------------------------------

# The demo's versions are a subset of the development versions, so both targets can use one environment.
$(DEMO_READY): requirements/demo.txt pyproject.toml | environment
	@echo "Installing the demo and its packages into $(VENV) (about half a minute)"
	@{ $(LOUD_PIP) install --progress-bar off --require-hashes -r requirements/demo.txt 2>&1 || echo FAILED; } \
	| $(SHOW_DOTS)
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_READY): requirements/dev.txt pyproject.toml | environment
	@echo "Installing the development tools into $(VENV) (about a minute)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" && $(PYTHON) $(IS_SUPPORTED) || { \
		echo "Python 3.11 or newer is required: $(if $(PYTHON),$(PYTHON) is older or does not start,none was found on PATH)." >&2; \
		echo "Name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
		echo "$(PYTHON) cannot create a virtual environment. On Debian and Ubuntu, install python3-venv." >&2; \
		rm -rf $(VENV); exit 1; }

# An interpreter named on the command line must be the one in .venv.
SHOW_VERSION := -c 'import platform; print(platform.python_implementation(), platform.python_version())'
environment: | $(BIN)/python
ifneq ($(origin PYTHON),file)
	@wanted="$$($(PYTHON) $(SHOW_VERSION))" || wanted="not a working interpreter"; \
	actual="$$($(BIN)/python $(SHOW_VERSION))"; \
	test "$$wanted" = "$$actual" || { \
		echo "PYTHON=$(PYTHON) is $$wanted, but $(VENV) was created with $$actual." >&2; \
		echo "Omit PYTHON to use that one, or remove it first: rm -rf $(VENV)" >&2; exit 1; }
endif

# --- locked dependencies ---------------------------------------------------------------------------------------

COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-config --no-emit-index-url --no-emit-find-links

lock: $(UV)
	$(COMPILE) $(UPGRADE) pyproject.toml scripts/conformance-requirements.txt --all-extras --group dev \
		--output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --extra testing --group build --constraint requirements/dev.txt \
		--output-file requirements/demo.txt

$(UV): Makefile | environment
	@$(BIN)/python -m venv --clear .cache/lock
	@.cache/lock/bin/python -m pip --disable-pip-version-check --quiet install uv==$(UV_VERSION)
	@touch $@

clean:
	rm -rf $(VENV) .cache build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
