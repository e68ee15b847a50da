# `make demo` to see it, `make check` while you work, `make test` before you send a change. Everything happens inside .venv.
SHELL := /bin/bash
PYTHON ?= python3
# Number of test processes. They wait for servers, kernels and pages as much as they compute.
WORKERS ?= 2
BIN := .venv/bin
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
PYTEST := $(BIN)/python -m pytest $(PARALLEL)
# Few examples of each property, and no import of what only the browser tests need.
QUICK := --hypothesis-profile=quick --ignore=tests/browser
export NO_COLOR := 1
# The tests start hundreds of processes, each of which would compile everything it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup hooks demo lab course check test system lint types test-js test-python test-browser test-newest test-engines coverage docs bench lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.venv/ready: requirements.lock pyproject.toml hatch_build.py js/build.mjs js/package-lock.json $(shell find js/src -type f)
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else f"deluge_nb needs Python 3.11 or later, and this is {sys.version.split()[0]}; name another with make PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==0.13.*"
	@VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet requirements.lock
	@VIRTUAL_ENV=.venv PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: .venv/ready  ## create .venv with everything the project needs

hooks: .venv/ready js/node_modules/.package-lock.json  ## run lint, types and a check of the subject at every commit
	$(BIN)/prek install

demo: .venv/ready  ## run the first notebook on the embedded model, and write it to build/
	@$(BIN)/python examples/demo.py

lab: .venv/ready  ## open the example notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=examples/notebooks

course: .venv/ready  ## open the lessons of the course in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=examples/notebooks/course

check: lint types  ## lint, types, layers and the fast tests, in about a minute
	$(PYTEST) tests $(QUICK) -m "not browser and not model and not slow"

# Not `docs`: tests/browser/test_docs_site.py builds the same site, and fails at a warning.
test: system .venv/ready lint types test-js test-python test-browser test-newest  ## every check and test

system:  ## install what the tests need from the operating system: Chromium, OpenMP
	@bash tests/system.sh

lint: .venv/ready js/node_modules/.package-lock.json  ## ruff and biome
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd js && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent lint

types: .venv/ready js/node_modules/.package-lock.json  ## pyrefly and TypeScript
	$(BIN)/pyrefly check --summary=none
	cd js && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent types

js/node_modules/.package-lock.json: js/package-lock.json .venv/ready
	cd js && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --prefer-offline
	@touch $@

test-js: js/node_modules/.package-lock.json  ## unit tests of the front end
	cd js && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent test

test-python: .venv/ready  ## Python tests, the embedded model included
	$(PYTEST) tests -m "not browser"

coverage: .venv/ready  ## the same, with a report of the lines and branches that were run
	$(BIN)/python -m pytest tests -m "not browser" --cov=deluge_nb --cov-report=term:skip-covered

# A separate process: Playwright's synchronous interface keeps an event loop running.
test-browser: .venv/ready  ## the widgets in Chromium and Jupyter, and the example notebooks
	$(PYTEST) tests/browser examples/notebooks --ignore=examples/notebooks/course --nbmake --nbmake-timeout=300

# Put another Python first on PATH to test on it.
test-newest: .venv/ready  ## tests without browser and model on the newest Python that starts here
	@$(BIN)/python tests/newest.py .venv-newest $(PARALLEL) tests $(QUICK) -m "not browser and not model"

build/engines/ready: requirements.lock pyproject.toml .venv/ready
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/engines
	@$(BIN)/uv pip sync --quiet --python build/engines/bin/python requirements.lock
	@$(BIN)/uv pip install --quiet --python build/engines/bin/python --group engines
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/uv pip install --quiet --python build/engines/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

# No part of `test`: these packages take 1.3 GB, and Spark needs Java.
test-engines: build/engines/ready  ## tests on Spark, Ray and Daft, in build/engines; skips Spark without Java
	build/engines/bin/python -m pytest tests/engines --engines -rs

docs: .venv/ready  ## build the documentation site into build/docs, offline
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -d build/doctrees docs build/docs

bench: .venv/ready  ## run the benchmarks; see benchmarks/README.md
	$(BIN)/python -m benchmarks

lock: .venv/ready  ## resolve the dependencies again, into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --quiet -o requirements.lock

clean:  ## remove build results and caches
	rm -rf build dist deluge_nb/static .coverage* .pytest_cache .ruff_cache .hypothesis
