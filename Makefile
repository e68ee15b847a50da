# Two commands for people: `make demo` and `make test`. Everything happens inside .venv.
SHELL := /bin/bash
PYTHON ?= python3
# Of test processes: they wait for servers, kernels and pages as much as they compute.
WORKERS ?= 2
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
export NO_COLOR := 1
# The tests start hundreds of processes, each of which would compile all that it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo lab test check lint types test-js test-python test-browser coverage docs bench lock system clean

help:  ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.venv/ready: requirements.lock pyproject.toml hatch_build.py js/build.mjs js/package-lock.json $(shell find js/src -type f)
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else f"deluge_nb needs Python 3.11 or later, and this is {sys.version.split()[0]}; name another with make PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==0.13.*"
	@VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet requirements.lock
	@VIRTUAL_ENV=.venv PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: .venv/ready  ## make .venv with all that is needed

demo: .venv/ready  ## run the first notebook on the embedded model and write it to build/
	@$(BIN)/python examples/demo.py

lab: .venv/ready  ## open the example notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=examples/notebooks

test: system .venv/ready lint types docs test-js test-python test-browser  ## all checks and tests

system:  ## what the browser tests and the embedded model need from the operating system
	@bash tests/system.sh

lint: .venv/ready  ## ruff and biome
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready  ## pyrefly
	$(BIN)/pyrefly check --summary=none

js/node_modules/.package-lock.json: js/package-lock.json .venv/ready
	cd js && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --prefer-offline
	@touch $@

test-js: js/node_modules/.package-lock.json  ## the front end: lint, types, unit tests
	cd js && export PATH="$(CURDIR)/$(BIN):$$PATH" && npm run --silent lint && npm run --silent types && npm run --silent test

test-python: .venv/ready  ## all but browser and notebooks
	$(PYTEST) tests -m "not browser"

coverage: .venv/ready  ## the same, counting which lines and branches are run
	$(BIN)/python -m pytest tests -m "not browser" --cov=deluge_nb --cov-report=term:skip-covered

# A process of its own: Playwright's synchronous interface keeps an event loop running.
test-browser: .venv/ready  ## the widget in Chromium and JupyterLab, and the example notebooks
	$(PYTEST) tests/browser examples/notebooks --nbmake --nbmake-timeout=300

docs: .venv/ready  ## build the documentation site into build/docs, offline
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -d build/doctrees docs build/docs

bench: .venv/ready  ## the benchmarks; see benchmarks/README.md
	$(BIN)/python -m benchmarks

lock: .venv/ready  ## resolve the requirements again
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --quiet -o requirements.lock

clean:  ## remove what was built
	rm -rf build dist deluge_nb/static .coverage* .pytest_cache .ruff_cache .hypothesis
