# What people type. Everything is set up by itself, in .venv.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
EXPORTS ?= 10000
DATABASE ?= both
SEED ?=
# Sources are read once, whatever is set outside, and not by each of the many processes that tests and benchmarks start.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help run test unit faults lint format bench matrix golden wheel clean

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' $(MAKEFILE_LIST) | expand -t 16

run: .venv/installed ## try it: the daemon, the embedded default, and exports that turn into issues
	@$(BIN)/tracker-bridge demo

test: .venv/developing ## all tests, with real processes
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

unit: .venv/developing ## the tests that start no process and talk to no tracker, in less than a minute
	@$(BIN)/python -m pytest --numprocesses 4 --dist loadfile -m "not process" --ignore tests/trackers

faults: .venv/developing ## everything goes wrong, and nothing may be lost or doubled: EXPORTS=10000 SEED= DATABASE=both
	@$(BIN)/python -m tests.faults --exports $(EXPORTS) --database $(DATABASE) $(if $(SEED),--seed $(SEED))

lint: .venv/developing ## style, types, and who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/developing ## put the code in form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: .venv/developing ## how fast it is, as ratios against this machine's own limits
	@$(BIN)/python -m bench

matrix: .venv/developing ## write the tables of what each tracker can do anew
	@$(BIN)/python -m tests.trackers.matrix

golden: .venv/developing ## write anew how each tracker would get the documented export
	@$(BIN)/python -m tests.trackers.golden

wheel: .venv/developing ## build the distribution into dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## forget the environment and everything built
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "tracker-bridge needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@echo "Setting up .venv (once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@

.venv/installed: .venv/made pyproject.toml constraints.txt
	@echo "Installing tracker-bridge"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]"
	@touch $@

.venv/developing: .venv/installed
	@echo "Installing what the tests need"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev
	@$(BIN)/python -m tests.postgresql || $(BIN)/python -m pip install --quiet --constraint constraints.txt --group postgresql \
	  || echo "No PostgreSQL here: the tests that need one are skipped"
	@touch $@
