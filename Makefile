# Everything that is done with this template, a line each: make help
.DEFAULT_GOAL := help
.PHONY: help run fleet quick test orders faults prove costs check lint format bench pictures reserved clean tidy
SHELL := /bin/sh

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
# Each worker gets files of its own, and makes what their tests share once. A worker that has none left takes tests of
# another.
PYTEST = $(BIN)/pytest -n auto --dist worksteal $(if $(SEED),--random-order-seed=$(SEED)) $(ARGS)
ORDERS ?= $(shell seq 20)
# What make bench runs, in order
BENCH := $(addprefix bench/,bytecodes.py serving.py items.py sql.py stores.py jobs.py pages.py limits.py access.py peers.py starting.py generating.py)
# uv of the machine, or one in the environment
UV := $(or $(shell command -v uv 2>/dev/null),$(BIN)/uv)

help: ## List these commands
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

run: $(VENV)/ready tidy ## Generate a service in build/, start it, and say what to try; ANSWERS="preset=full" answers
	@rm -rf build/run && mkdir -p build/run
	@echo 'Generating a service into build/run'
	@$(BIN)/cookiecutter . --no-input --default-config --output-dir build/run $(ANSWERS) >/dev/null
	@cd build/run/* && PATH="$(CURDIR)/$(BIN):$$PATH" $(MAKE) --no-print-directory run PYTHON="$(PYTHON)" PORT=$(PORT)

# Where docs/fleet.md clones the template: beside the file.
DO ?= status
FILE ?= ../fleet.toml
fleet: $(VENV)/ready tidy ## Work on the services that FILE names: DO=sync, run, update, check or status
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python fleet.py $(DO) "$(FILE)"

quick: $(VENV)/ready tidy ## Run the fast tests
	$(PYTEST) -m 'not slow and not faults and not prove'

test: $(VENV)/ready tidy ## Run the tests; ARGS="-k name" are pytest's, SINCE=main leaves out what no change touches
	$(PYTEST) -m 'not faults and not prove' $(if $(SINCE),--since=$(SINCE))

orders: ## Run the fast tests in 20 other orders; RUN=test runs those of make test, ORDERS="3 8" is which
	@failed=; for seed in $(ORDERS); do $(MAKE) --no-print-directory $(or $(RUN),quick) SEED=$$seed || failed="$$failed $$seed"; done; \
	test -z "$$failed" || { echo "Failed: make $(or $(RUN),quick) SEED=... with$$failed" >&2; exit 1; }

faults: $(VENV)/ready tidy ## Break the production servers in every way that is known, and print what happened
	$(BIN)/pytest -n 2 --dist loadgroup -rP tests/faults $(ARGS)

prove: $(VENV)/ready tidy ## Run all cases of what make test runs some of; newest and lowest versions, each edit alone
	$(PYTEST) -m prove -rP

costs: $(VENV)/ready ## Print what each file of tests cost when it last ran
	@$(BIN)/python tests/costs.py

check: lint quick ## Run what has to pass before a commit

lint: $(VENV)/ready ## Find what is wrong or badly formatted, in the template and in its tests
	$(BIN)/ruff check --config pyproject.toml
	$(BIN)/ruff format --config pyproject.toml --check

format: $(VENV)/ready ## Format, and fix what lint can fix
	$(BIN)/ruff check --config pyproject.toml --fix
	$(BIN)/ruff format --config pyproject.toml

bench: $(VENV)/ready tidy ## Measure, and write docs/performance.md; SCRIPTS=bench/sql.py measures only that anew
	@$(if $(SCRIPTS),,rm -rf build/bench/results)
	@failed=; for script in $(or $(SCRIPTS),$(BENCH)) bench/report.py; do echo "== $$script"; \
		PYTHONPATH=tests $(BIN)/python "$$script" || failed="$$failed $$script"; done; \
	test -z "$$failed" || { echo "Failed:$$failed" >&2; exit 1; }

pictures: $(VENV)/ready tidy ## Take the pictures of the README again, and measure the memory of the presets
	PYTHONPATH=tests:bench $(BIN)/python docs/pictures.py

reserved: $(VENV)/ready ## Write the names that services may not have into the hook, from what they install
	$(BIN)/python tests/reserved.py

# What tools have left among the files of the template would be generated with them.
tidy:
	@git clean -d --force --quiet -X -- '{{cookiecutter.project_slug}}' 2>/dev/null || true

clean: ## Remove what the commands above have made
	rm -rf $(VENV) build .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/ready: pyproject.toml cookiecutter.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'This needs Python 3.11 or newer: make PYTHON=python3.13' >&2; exit 1; }
	@echo 'Making the environment in $(VENV)'
	@test -x $(BIN)/python || if test -x $(UV); then $(UV) venv --quiet --python $(PYTHON) $(VENV); else $(PYTHON) -m venv $(VENV); fi
	@test -x $(UV) || $(BIN)/pip install --quiet uv
	@$(UV) pip install --quiet --python $(BIN)/python --group dev uv
	@$(BIN)/python tests/manifest.py | $(UV) pip install --quiet --python $(BIN)/python --requirements -
	@touch $@
