# One verb per habit. Everything it needs it sets up itself, in .venv and in the user's cache folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What the demo needs is a part of it, and enough for the demo where nothing more was asked for.
DEMO := $(if $(wildcard $(STAMP)),$(STAMP),$(VENV)/.demo)
SET_UP := PYTHONPATH=operator $(PYTHON) -m testbed.environment $(VENV)
ARGS ?=
# A process that may not keep what it compiles takes three seconds of a core longer to start, and the tests start hundreds.
export PYTHONDONTWRITEBYTECODE :=
PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses 4
# Some tests alone may need none of these programs, and each obtains what it needs.
PROGRAMS := $(if $(ARGS),,programs)
NEW_ENOUGH := $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "rolevend needs Python 3.11 or newer; this is $$($(PYTHON) --version). Name another one: make PYTHON=python3.13 …" >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help setup programs demo dev shell check site release-dry-run test test-long test-full test-lag nightly mutants e2e bench crds docs screenshots lock fix clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Install everything into .venv, from locked requirements

programs: $(STAMP) ## Build what all tests start, once (5 to 8 minutes)
	@$(BIN)/python -m testbed.binaries

demo: $(DEMO) ## Show the main job (the first run: 6 to 10 minutes)
	@$(BIN)/python -m demo $(ARGS)

dev: $(DEMO) ## The same, and leave everything up to try by hand
	@$(BIN)/python -m demo --dev $(ARGS)

shell: ## Open a shell on what `make dev` started elsewhere
	@test -f dev.env || { echo "nothing is up here: run make dev in another terminal first" >&2; exit 1; }
	@. ./dev.env && exec "$${SHELL:-/bin/sh}"

test: $(STAMP) $(PROGRAMS) ## Run the tests; ARGS='tests/unit -k masks' for some
	$(PYTEST) $(or $(ARGS),$(PARALLEL))

test-long: $(STAMP) $(PROGRAMS) ## Run the tests that `make test` leaves out
	ROLEVEND_TESTS=long $(PYTEST) -m long $(or $(ARGS),$(PARALLEL))

test-full: $(STAMP) $(PROGRAMS) ## Run all tests on each PostgreSQL, with larger numbers
	ROLEVEND_TESTS=full $(PYTEST) $(or $(ARGS),$(PARALLEL))

test-lag: $(STAMP) $(PROGRAMS) ## Run the tests of processes whose watches are late
	ROLEVEND_TESTS=long ROLEVEND_TEST_LAG=0.5 $(PYTEST) $(or $(ARGS),$(PARALLEL) tests/api tests/client tests/clients_matrix tests/operator)

nightly: test-full test-lag check mutants e2e bench ## Run everything that is too long for a change

mutants: $(STAMP) ## Change what decides what is shown; see a test fail
	$(BIN)/python -m tests.mutants $(ARGS)

e2e: $(STAMP) ## Install on a cluster with pods, and use it
	$(BIN)/python -m pytest tests/e2e/node $(ARGS)

check: $(STAMP) ## Lint, types, import contracts, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m rolevend.kinds.crd --check .
	$(BIN)/python docs/generate.py --check
	$(BIN)/python clients/python/generate.py --check
	$(BIN)/python clients/typescript/generate.py --check
	$(BIN)/python -m testbed.node run check
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

release-dry-run: $(STAMP) ## Build and try what a release publishes
	$(BIN)/python -m testbed.release

site: $(STAMP) ## Build the documentation as a site; ARGS=serve shows it
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs $(or $(ARGS),build)

fix: $(STAMP) ## Write the generated clients, format, apply lint fixes
	$(BIN)/python clients/python/generate.py --write
	$(BIN)/python clients/typescript/generate.py --write
	$(BIN)/python -m testbed.node run fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## Measure, and print ratios beside their budgets
	$(BIN)/python -m bench $(ARGS)

crds: $(STAMP) ## Write the CRDs, and the chart's copies of them
	$(BIN)/python -m rolevend.kinds.crd --write .

docs: $(STAMP) ## Write the reference pages that come from the code
	$(BIN)/python docs/generate.py --write

screenshots: $(STAMP) ## Take the pictures of the console in the documentation
	ROLEVEND_TESTS=long ROLEVEND_PICTURES=docs/images/console $(PYTEST) tests/api/test_console_pictures.py

lock: $(STAMP) ## Resolve the dependencies again
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--all-extras --group dev pyproject.toml -o requirements/dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--constraints requirements/dev.lock --extra demo --group demo pyproject.toml -o requirements/demo.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra api --extra operator --extra postgres --extra snowflake pyproject.toml -o requirements/image.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--constraints requirements/dev.lock --extra mcp --extra snowflake clients/python/pyproject.toml -o requirements/mcp.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--constraints requirements/dev.lock --group build -o requirements/build.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--group clients -o requirements/clients.lock

clean: ## Remove .venv and caches of this checkout
	rm -rf $(VENV) clients/typescript/node_modules clients/typescript/dist clients/typescript/build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(STAMP): requirements/dev.lock pyproject.toml clients/python/pyproject.toml
	@$(NEW_ENOUGH)
	@$(SET_UP) requirements/dev.lock
	@touch $@

$(VENV)/.demo: requirements/demo.lock pyproject.toml clients/python/pyproject.toml
	@$(NEW_ENOUGH)
	@$(SET_UP) requirements/demo.lock --sources
	@touch $@
