# Tasks on a developer's machine; `make` lists them. Written for GNU Make 3.81 and later.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test chaos bench bench-quick bench-loads bench-parts bench-guard soak profile logs kafka kafka-stop lint lint-js types format check docs clean lock

VENV ?= .venv
PY := $(VENV)/bin/python
KAFKA_PORT ?= 19092
TESTS ?=
SHELL_FILES := start_mvp.sh deploy/find-python.sh deploy/setup.sh

help: ## list the targets
	@echo "adtally: an exact tally of ads, by the minute"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: ## create .venv from the lock file (the other targets do it; it does nothing if nothing changed)
	@deploy/setup.sh run

setup-dev:
	@deploy/setup.sh dev

demo: setup ## run everything; PORT=8504 changes the dashboard's port, ADTALLY_BROKERS=host:port uses that Kafka
	@$(PY) -m adtally demo --with-parent

test: setup-dev ## run the tests; TESTS="tests/figures -k word" selects some
	@$(PY) -m pytest -n auto --dist loadgroup $(TESTS)

chaos: setup-dev ## inject random faults with a real Kafka, checked by the oracle; SEED=7 RUNS=50
	@$(PY) -m tests.system.faults.chaos --seed $(or $(SEED),1) --runs $(or $(RUNS),5)

BENCH = $(if $(SIZES),--sizes "$(SIZES)") $(if $(RUNS),--runs $(RUNS))
BENCH_LOAD = $(if $(ONLY),--only "$(ONLY)") $(if $(LATENCY),--latency $(LATENCY)) $(if $(CAMPAIGNS),--campaigns $(CAMPAIGNS)) $(if $(PARTITIONS),--partitions $(PARTITIONS))

bench: setup-dev ## compare adtally and its peers on the same topics; SIZES=1M,4M RUNS=3 ONLY=adtally,flink CAMPAIGNS=50 PARTITIONS=4
	@$(PY) -m benchmarks.bench $(BENCH) $(BENCH_LOAD)

bench-quick: setup-dev ## the same with adtally, naive Bytewax and the bare loop only, a few minutes
	@$(PY) -m benchmarks.bench --quick $(if $(SIZES),,--sizes 200k,1M) $(BENCH) $(BENCH_LOAD)

bench-loads: setup-dev ## measure adtally with many campaigns, late, duplicate and malformed events; SIZES=200k,1M RUNS=3
	@$(PY) -m benchmarks.loads $(BENCH)

bench-parts: setup-dev ## measure parts of adtally separately: intake, index of ids, windows and snapshots
	@$(PY) -m benchmarks.targets

bench-guard: setup-dev ## run the benchmark of CI: adtally against the bare loop, about a minute
	@$(PY) -m benchmarks.guard $(BENCH)

soak: setup-dev ## run for hours at a steady rate with restarts, checked by the oracle; HOURS=2 RATE=5000
	@$(PY) -m benchmarks.soak.run --hours $(or $(HOURS),2) --rate $(or $(RATE),5000)

profile: setup-dev ## make a flame graph of the dataflow under load
	@$(PY) -m benchmarks.flame

logs: ## follow the logs of the demo
	@ls run/logs/*.log >/dev/null 2>&1 || { echo "no logs yet: they come with make demo" >&2; exit 1; }
	@tail -n 20 -F run/logs/*.log

kafka: setup ## run a real Apache Kafka until Ctrl-C (needs Java 17 and Maven; KAFKA_PORT=19092)
	@$(PY) -m adtally kafka run --port $(KAFKA_PORT)

kafka-stop: setup ## stop an Apache Kafka that was started in the background
	@$(PY) -m adtally kafka stop

lint: setup-dev ## check style, imports between packages, spelling, words and shell scripts
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(dir $(PY))lint-imports --no-cache --no-logo
	@git ls-files | xargs $(PY) -m codespell_lib
	@$(dir $(PY))clang-format --dry-run --Werror $(filter-out %/contract.h,$(wildcard dataflows/native/csrc/*.[ch]))
	@$(PY) .ci/words.py
	@if command -v shellcheck >/dev/null 2>&1; then shellcheck $(SHELL_FILES); else echo "shellcheck is not installed: shell scripts not checked"; fi

lint-js: setup-dev ## check the dashboard's JavaScript: ESLint, Prettier, TypeScript (needs the npm registry once)
	@$(PY) .ci/lint_js.py

types: setup-dev ## check the types
	@$(PY) -m basedpyright

format: setup-dev ## format the code
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

check: lint types test ## run lint, types and test

docs: setup-dev ## build the docs as a site: build/site/index.html
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict && echo "docs: build/site/index.html"

clean: ## remove .venv, the native engine, logs, recovery stores, caches
	@rm -rf dataflows/native/*.so .venv .venv-* run build dist .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: setup-dev ## write the lock files from pyproject.toml
	@$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group build \
		-o requirements.lock pyproject.toml
	@$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group build --group dev \
		-c requirements.lock -o requirements-dev.lock pyproject.toml
