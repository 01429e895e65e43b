.DEFAULT_GOAL := help
# Each target sets up the virtual environment that it needs; only make and Python 3.11 or later with venv are required.
PYTHON ?= python3
# As pip does: the certificates of a company's proxy are among the system's, and not among those of uv.
export UV_SYSTEM_CERTS ?= true
# Hundreds of processes of the tests would each compile the project again.
export PYTHONDONTWRITEBYTECODE :=
BIN := .venv/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
# The minor versions of Airflow. The newest has all fast tests, also with `make test`, the oldest all that are not about
# documents, and those between only what calls Airflow: pyproject.toml describes the markers.
MATRIX := 2.11 3.0 3.1 3.2 3.3
FAST_ON_2.11 := not slow and not documents
FAST_ON_3.0 := $(FAST_ON_2.11) and not without_airflow
FAST_ON_3.1 := $(FAST_ON_3.0)
FAST_ON_3.2 := $(FAST_ON_3.0)
FAST_ON_3.3 := not slow
# One test process per core.
SIDE_BY_SIDE := --numprocesses auto --dist worksteal
PINS := --constraint constraints/airflow-3.3.txt --constraint constraints/development.txt

.PHONY: help demo test test-slow test-storage test-warehouse test-release test-matrix test-e2e bench docs picture lint \
	format dist debian-packages clean

help:  ## Print this list
	@sed -nE 's/^([a-z0-9%-]+):.*  ## (.*)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | sed 's/%/2.11/' | expand -t 20

demo: .venv/demo.ready  ## Pull one organization's analytics from the sandbox, with a Dag in a real Airflow
	$(BIN)/python example_dags/demo.py

test: .venv/test.ready lint  ## Run linters, type checks and all fast tests
	@echo 'Running all fast tests, which takes some minutes:'
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m '$(FAST_ON_3.3)'

test-slow: .venv/test.ready  ## Run the tests that take long, and do not depend on the version of Airflow
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m slow

test-storage: .venv-storage/storage.ready  ## Test with an S3 server, and emulators of Google's storage and, if Node is installed, Azure's
	.venv-storage/bin/python -m pytest tests/storage

test-warehouse: .venv-warehouse/warehouse.ready  ## Test the recipes for warehouses with the provider of each
	.venv-warehouse/bin/python -m pytest tests/warehouse/test_providers.py

test-release: .venv-release/release.ready .venv/test.ready  ## Build the distributions, and install and use them
	.venv-release/bin/python -m pytest tests/release

test-matrix: $(MATRIX:%=test-airflow-%)  ## Run test-airflow-... for every minor version of Airflow, each in its own environment
	@$(foreach minor,$(MATRIX),.venv-airflow-$(minor)/bin/python -c 'from importlib.metadata import version as v; \
		print(*(f"{n} {v(n)}," for n in ("apache-airflow", "apache-airflow-providers-http", \
		"apache-airflow-providers-common-compat", "pydantic")), "passed")';)

test-airflow-%: .venv-airflow-%/test.ready  ## Run the fast tests on one minor version of Airflow, and a short run of a real one
	.venv-airflow-$*/bin/python -m pytest -q $(SIDE_BY_SIDE) -m '$(FAST_ON_$*)'
	.venv-airflow-$*/bin/python -m pytest -q -s tests/e2e/test_minor_versions.py tests/e2e/test_page_in_airflow.py

test-e2e: .venv/e2e.ready  ## Test on a real Airflow, with its components as processes on free loopback ports
	$(BIN)/python -m pytest tests/e2e --ignore tests/e2e/test_minor_versions.py -s

bench: .venv-bench/bench.ready  ## Compare with HttpOperator and dlt (BENCH="--format jsonl" for JSON Lines)
	.venv-bench/bin/python -m benchmarks $(BENCH)

docs: .venv-docs/docs.ready  ## Build the documentation into site/; a dead link is an error
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

picture: .venv/test.ready  ## Create the pictures of a report and of alerts in docs/images; needs Chromium
	$(BIN)/python -m tests.support.report_picture docs/images
	$(BIN)/python -m tests.support.alert_pictures docs/images

lint: .venv/test.ready  ## Run linters and type checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/test.ready  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dist: .venv-release/release.ready  ## Build the distributions into dist/; TAG checks them for a release
	@test -z "$(TAG)" || grep -qx '__version__ = "$(TAG:v%=%)"' airflow_provider_make/__init__.py || \
		{ echo 'airflow_provider_make/__init__.py has another version than the tag $(TAG).'; exit 1; }
	@test -z "$(TAG)" || grep -q '^Repository = ' pyproject.toml || \
		{ echo 'pyproject.toml has no Repository in [project.urls]: links of README would be broken on PyPI.'; exit 1; }
	rm -rf dist
	UV_CONSTRAINT=constraints/release.txt .venv-release/bin/pyproject-build --installer uv
	.venv-release/bin/twine check --strict dist/*

debian-packages:  ## Install what test-e2e needs, on Debian as root: PostgreSQL, Redis and Chromium
	apt-get update
	DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql redis-server chromium

clean:  ## Remove all environments, caches and build results
	rm -rf dist site .venv .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/uv.ready .venv-bench/uv.ready .venv-docs/uv.ready .venv-storage/uv.ready .venv-warehouse/uv.ready \
		.venv-release/uv.ready: %/uv.ready: constraints/development.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12 ...")'
	@echo 'Creating $*'
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints/development.txt uv
	@touch $@

# The installation records the package's version, so it is renewed when __init__.py changes.
.venv/demo.ready: .venv/uv.ready pyproject.toml airflow_provider_make/__init__.py constraints/airflow-3.3.txt
	@echo 'Installing the project with Airflow into .venv, which takes up to some minutes'
	$(UV) $(PINS) --editable .[parquet]
	@touch $@

# Compiled at once: the tests start many processes, and some machines don't keep what a process compiles.
.venv/test.ready: .venv/demo.ready
	@echo 'Installing the tools for tests into .venv, and compiling all packages, which takes up to some minutes'
	$(UV) --compile-bytecode $(PINS) --group dev
	@touch $@

.venv/e2e.ready: .venv/test.ready
	@echo 'Installing Celery and Playwright into .venv'
	$(UV) $(PINS) --group e2e
	@touch $@

.PRECIOUS: .venv-airflow-%/test.ready
.venv-airflow-%/test.ready: constraints/airflow-%.txt constraints/development.txt pyproject.toml \
		airflow_provider_make/__init__.py
	@echo 'Installing the project with Airflow $* into .venv-airflow-$*, which takes up to some minutes'
	$(PYTHON) -m venv .venv-airflow-$*
	.venv-airflow-$*/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints/development.txt uv
	.venv-airflow-$*/bin/uv pip install --quiet --compile-bytecode --python .venv-airflow-$*/bin/python \
		--constraint constraints/airflow-$*.txt --constraint constraints/development.txt --editable .[parquet] --group dev playwright
	@touch $@

# A separate environment, so that dlt's requirements don't affect the project's versions.
.venv-bench/bench.ready: .venv-bench/uv.ready pyproject.toml constraints/airflow-3.3.txt constraints/benchmarks.txt
	@echo 'Installing the project with Airflow and dlt into .venv-bench, which takes up to some minutes'
	.venv-bench/bin/uv pip install --quiet --python .venv-bench/bin/python $(PINS) \
		--constraint constraints/benchmarks.txt --editable . --group bench
	@touch $@

# A separate environment, because the amazon provider is not compatible with constraints/airflow-3.3.txt.
.venv-storage/storage.ready: .venv-storage/uv.ready pyproject.toml constraints/storage.txt
	@echo 'Installing the project with Airflow and clients of storages into .venv-storage, which takes up to some minutes'
	.venv-storage/bin/uv pip install --quiet --python .venv-storage/bin/python \
		--constraint constraints/storage.txt --editable . --group storage
	@touch $@

# A separate environment, because these providers are large, and not compatible with constraints/airflow-3.3.txt.
.venv-warehouse/warehouse.ready: .venv-warehouse/uv.ready pyproject.toml constraints/warehouse.txt
	.venv-warehouse/bin/uv pip install --quiet --python .venv-warehouse/bin/python \
		--constraint constraints/warehouse.txt --editable . --group warehouse
	@touch $@

# A separate environment without the project: the tests install the distributions that they build.
.venv-release/release.ready: .venv-release/uv.ready pyproject.toml constraints/release.txt
	@echo 'Installing the tools for releases into .venv-release'
	.venv-release/bin/uv pip install --quiet --python .venv-release/bin/python \
		--constraint constraints/release.txt --group release
	@touch $@

# A separate environment without Airflow: the site is built from the sources.
.venv-docs/docs.ready: .venv-docs/uv.ready pyproject.toml constraints/docs.txt
	@echo 'Installing the tools for the documentation into .venv-docs'
	.venv-docs/bin/uv pip install --quiet --python .venv-docs/bin/python --constraint constraints/docs.txt \
		--constraint constraints/development.txt --group docs
	@touch $@
