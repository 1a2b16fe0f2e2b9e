# Everything that is done with a checkout. `make` alone lists it.
# A fresh machine needs Python 3.11 or later, pip, make and git; the rest goes into $(VENV).

VENV ?= .venv
PYTHON ?= python3
PYTEST_ARGS ?= -n 2
override BIN := $(VENV)/bin

# Those of the scripts that are run, not what they share.
BENCHMARKS = $(shell grep -l __main__ benchmarks/*.py)
SET_UP := $(VENV)/.seawall-run
SET_UP_DEV := $(VENV)/.seawall-dev

.DEFAULT_GOAL := help
.PHONY: help run test check bench bench-smoke format lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(SET_UP)  ## the passporter story in the twin: verdicts here, charts in report.html
	@$(BIN)/seawall simulate passporter --report report.html

test: $(SET_UP_DEV)  ## all tests
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(SET_UP_DEV)  ## ruff, mypy and the import rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports --no-cache

bench: $(SET_UP_DEV)  ## every figure beside its rival, one JSON object a line
	@set -e; for script in $(BENCHMARKS); do $(BIN)/python $$script --json; done

bench-smoke: $(SET_UP_DEV)  ## the same, small: that they run, not how fast
	@set -e; for script in $(BENCHMARKS); do $(BIN)/python $$script --smoke --json; done

format: $(SET_UP_DEV)  ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One for those who run it, one with the tools of those who change it; both with hashes, and no address.
LOCK = $(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --build-deps-for editable pyproject.toml

lock: $(SET_UP_DEV)  ## new versions into the lock files
	$(INTO_VENV) pip-tools
	rm -f requirements.lock requirements-dev.lock
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra dev --constraint requirements.lock --output-file requirements-dev.lock

clean:  ## take away what the other targets made
	rm -rf $(VENV) build dist out report.html src/seawall.egg-info
	rm -rf .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------------------------ setting up

# Debian parts ensurepip from Python, so a virtual environment is made without pip, and the system's pip fills
# it; where there is no such pip, ensurepip must do, for which root may install python3-venv.
INTO_VENV = $$(cat $(VENV)/.pip) install --quiet --disable-pip-version-check

$(VENV)/.pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Seawall needs Python 3.11 or later, and $(PYTHON) is not: make PYTHON=python3.11 ..." >&2; exit 1; }
	@echo "setting up $(VENV), once ..."
	@if $(PYTHON) -m venv --without-pip $(VENV) 2>/dev/null && \
	  $(PYTHON) -m pip --python $(BIN)/python --version >/dev/null 2>&1; then \
	  echo "$(PYTHON) -m pip --python $(BIN)/python" > $@; \
	else \
	  $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	      echo "installing python3-venv ..."; \
	      apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv >/dev/null; \
	    fi; \
	    $(PYTHON) -m venv $(VENV) || { \
	      echo "neither pip nor ensurepip is there: install python3-pip or python3-venv" >&2; exit 1; }; \
	  } && echo "$(BIN)/python -m pip" > $@; \
	fi

$(SET_UP): requirements.lock pyproject.toml | $(VENV)/.pip
	@$(INTO_VENV) --require-hashes -r requirements.lock
	@$(INTO_VENV) --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(SET_UP_DEV): requirements-dev.lock pyproject.toml | $(VENV)/.pip
	@$(INTO_VENV) --require-hashes -r requirements-dev.lock
	@$(INTO_VENV) --no-index --no-deps --no-build-isolation --editable .
	@touch $@ $(SET_UP)
