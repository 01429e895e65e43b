# Every target sets up .venv first; nothing else is needed but make and Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
PINS := --constraint constraints/airflow-3.3.txt --constraint constraints/development.txt

.PHONY: demo test lint format clean

demo: .venv/demo.ready  ## Pull one organization's analytics from the sandbox, in a real Airflow Dag
	$(BIN)/python example_dags/demo.py

test: .venv/test.ready lint  ## Lint, types and all fast tests
	$(BIN)/python -m pytest

lint: .venv/test.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/test.ready  ## Put the code into the project's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/uv.ready: constraints/development.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints/development.txt uv
	@touch $@

.venv/demo.ready: .venv/uv.ready pyproject.toml constraints/airflow-3.3.txt
	$(UV) $(PINS) --editable .
	@touch $@

.venv/test.ready: .venv/demo.ready
	$(UV) $(PINS) --group dev
	@touch $@
