# Every task of the project. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CHECKS := $(VENV)/.checks
CODE := pathline services tests scripts
TESTS ?= tests
FUZZ_SECONDS ?= 300
PYTEST_OPTIONS ?= -m "not bench"
# Tests wait more than they compute: three at a time keep two processors busy.
WORKERS ?= 3
# Side by side, and what each has to say in one piece, where this make can do that.
TOGETHER := $(MAKE) -j5 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

##@ Use it

.PHONY: help
help: ## List the tasks
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z][a-z-]*:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(STAMP) ## Set up .venv; then .venv/bin/pathline works

.PHONY: run
run: $(STAMP) ## Set up, then Kafka, PostgreSQL, all services and the demo shop
	@exec $(BIN)/pathline up --demo

##@ Check it

.PHONY: test
test: $(CHECKS) ## Set up, then every check and test, in under 15 minutes
	@$(TOGETHER) lint types imports chromium sdks
	$(BIN)/pytest --numprocesses=$(WORKERS) --max-worker-restart=0 $(PYTEST_OPTIONS) $(TESTS)

.PHONY: conformance
conformance: $(CHECKS) chromium sdks ## Real SDKs against the collector; writes the table of docs/conformance.md
	CONFORMANCE_TABLE=write $(BIN)/pytest tests/conformance

.PHONY: unit
unit: $(CHECKS) ## The quick tests alone: no servers
	$(BIN)/pytest tests/unit

.PHONY: chaos
chaos: $(CHECKS) ## Set up, then kill, freeze, cut and restart at full numbers; writes the table of docs/faults.md
	CHAOS=full CHAOS_TABLE=whole $(BIN)/pytest --numprocesses=$(WORKERS) --max-worker-restart=0 tests/chaos

.PHONY: fuzz
fuzz: $(CHECKS) ## Search for FUZZ_SECONDS (300) for bytes that the decoder is not up to; they and the corpus stay in .fuzz
	@mkdir -p .fuzz/corpus
	$(BIN)/python -m tests.fuzz.decoder .fuzz/corpus tests/fuzz/corpus -dict=tests/fuzz/decoder.dict -max_len=4096 \
	  -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=.fuzz/

.PHONY: lint
lint: $(CHECKS) ## Style and known mistakes
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

.PHONY: types
types: $(CHECKS) ## Types, of the tests too
	$(BIN)/mypy

.PHONY: imports
imports: $(CHECKS) ## Who may import whom
	@$(BIN)/lint-imports --no-logo

.PHONY: format
format: $(CHECKS) ## Put the code in form
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

.PHONY: bench
bench: $(CHECKS) ## The figures of docs/benchmarks.md, as ratios within one run
	$(BIN)/pathline bench

.PHONY: newcomer
newcomer: $(STAMP) ## Measure a fresh clone with cold caches: make run to the first alert
	$(BIN)/python scripts/newcomer.py

.PHONY: screenshots
screenshots: $(CHECKS) chromium ## The README's pictures, taken from a running demo
	$(BIN)/python scripts/screenshots.py

##@ Keep it

.PHONY: lock
lock: $(CHECKS) ## Resolve the dependencies anew and pin them by hash
	$(BIN)/python scripts/lock.py

.PHONY: lock-jars
lock-jars: $(CHECKS) ## Resolve the jars of the embedded Kafka anew and pin them by hash
	$(BIN)/python scripts/lock_jars.py

.PHONY: chromium
chromium: $(CHECKS) ## A browser for the browser tests: the system's, Debian's or Playwright's own
	@scripts/chromium > /dev/null

.PHONY: sdks
sdks: $(CHECKS) ## The SDKs that the conformance tests run, in the user's cache
	@$(BIN)/python scripts/conformance.py > /dev/null

.PHONY: clean
clean: ## Remove caches and what was built
	rm -rf dist .fuzz .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## Remove .venv and the embedded data too
	rm -rf $(VENV) .pathline

$(STAMP): pyproject.toml requirements-bootstrap.lock requirements.lock
	@scripts/set-up $(VENV)
	@touch $@

$(CHECKS): pyproject.toml requirements-bootstrap.lock requirements-dev.lock
	@scripts/set-up $(VENV) checks
	@touch $(STAMP) $@
