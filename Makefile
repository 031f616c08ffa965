# Commands for a fresh machine with Python ≥ 3.11 and make:
#   make demo         sets up a virtual environment, runs the quickstart study, prints where its report is
#   make test         the tests that reach every public name; some 10 minutes on two cores
#   make test-all     these, those that take longest, and the site of the documentation
#   make docs         the documentation as a site, build/site/index.html; a warning is an error
#   make lint         ruff, mypy and pyright; half a minute, a minute the first time; part of `make test`
#   make test-level   the tests of stored and drawn numbers, compiled for an older processor
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

TEST := $(BIN)/pytest --numprocesses 2 --dist loadfile
# Without fused multiply-adds, results differ in their last bits from those of any newer processor.
LEVEL ?= SSE4_2

.PHONY: demo test test-all test-level docs lint clean

demo: $(VENV)/.core
	$(BIN)/allroads run quickstart

test: $(VENV)/.test lint
	$(TEST) -m 'not slow'

test-all: test docs
	$(TEST) -m slow

test-level: $(VENV)/.test
	XLA_FLAGS="$$XLA_FLAGS --xla_cpu_max_isa=$(LEVEL)" $(TEST) -m 'stored or draws'

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: $(VENV)/.test
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy --no-error-summary
	$(BIN)/basedpyright

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

$(VENV)/.docs: $(VENV)/.core
	$(INSTALL) --group docs
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
