# `make help` lists the targets. A machine with Python 3.11 and make needs nothing else first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
BENCH_STAMP := $(VENV)/.bench-ready
SOAK_STAMP := $(VENV)/.soak-ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench soak docs web format clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP) ## make .venv with everything the tests need

$(STAMP): requirements/test.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Lakeward needs Python 3.11 or later; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## run the demo: a real app, real requests, and what landed in the lake
	$(BIN)/lakeward demo

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -q tests

check: $(STAMP) ## format, lint, types, import floors, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_docs.py tests/test_exported_members.py

format: $(STAMP) ## format the code and fix what can be fixed by rule
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## write the generated pages: docs/settings.md, docs/types.md
	$(BIN)/python -m tests.write_docs

$(BENCH_STAMP): $(STAMP) requirements/bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

bench: $(BENCH_STAMP) ## measure; results are kept in benchmarks/README.md
	$(BIN)/python benchmarks/record.py
	$(BIN)/python benchmarks/privacy.py
	$(BIN)/python benchmarks/log.py
	$(BIN)/python benchmarks/capture.py
	$(BIN)/python benchmarks/latency.py
	@command -v valgrind >/dev/null && $(BIN)/python benchmarks/instructions.py || echo "instructions.py is left out: valgrind is missing"

$(SOAK_STAMP): $(STAMP) requirements/soak.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/soak.txt
	@touch $@

soak: $(SOAK_STAMP) ## ten thousand kills, then fuzzing by coverage; about two hours
	$(BIN)/python benchmarks/soak.py
	$(BIN)/python benchmarks/fuzz.py --seconds 1800
	LAKEWARD_SCHEMA_EXAMPLES=1000 $(BIN)/python -m pytest -q tests/test_api_schema.py

web: ## the dashboard and the browser SDK come with later versions: nothing to build yet
	@echo "nothing to build yet"

clean: ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
