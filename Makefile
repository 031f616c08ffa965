# Two commands for a fresh machine with Python ≥ 3.11 and make:
#   make demo   sets up a virtual environment, runs the quickstart study, prints where its report is
#   make test   all tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint clean

demo: $(VENV)/.core
	$(BIN)/allroads run quickstart

test: $(VENV)/.test lint
	$(BIN)/pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/.test
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet

$(BIN)/pip:
	$(PYTHON) -c 'import sys; sys.exit("allroads needs Python 3.11 or newer; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'

$(VENV)/.core: $(BIN)/pip pyproject.toml constraints.txt
	$(INSTALL) --editable .
	touch $@

# torch first and by its exact version, so that nothing else pulls another build of it.
$(VENV)/.test: $(VENV)/.core
	$(INSTALL) torch==2.13.0
	$(INSTALL) --editable '.[torch]' --group test --group dev
	touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
