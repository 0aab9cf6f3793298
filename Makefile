# `make run` and `make test` do all their set-up; words go to stderr. `make faults` kills for MINUTES, again and again.
# the first that runs, is new enough and can make an environment: a name on the path may be a shim that leads nowhere.
# The distribution's own comes first: it is built with profiles, and faster than one without.
PYTHON := $(shell for name in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
MINUTES ?= 10
# tests run beside each other, a file whole by one of them; more than cores, since many wait for a service
WORKERS ?= 3

.PHONY: run test stack faults faults-redis faults-upstream overload stack-faults endings brink soak fuzz fuzz-openapi fuzz-roles fuzz-tenants fuzz-words fuzz-parsers scoreboard audit-list bench timing sbom check format lock clean

run: $(VENV)/.run
	@$(BIN)/parley serve

test: $(VENV)/.test
	@.ci/debian
	@$(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile $(ARGS)

# service, collector, Jaeger, Prometheus, Alertmanager, without containers; what has to be built is built once
stack: $(VENV)/.run
	@$(BIN)/python -m telemetry.stack

# adds up in var/faults.json: it may be stopped, and run again
faults: $(VENV)/.test
	@.ci/debian
	@$(BIN)/python -m tests.faults $(MINUTES)

# four processes on one Redis that is killed, frozen, cut off, flushed and full
faults-redis: $(VENV)/.test
	@.ci/debian
	@$(BIN)/python -m tests.faults.limits_redis $(MINUTES)

# 159 faults of the model's API in two modes, again and again; adds up in var/upstream.json
faults-upstream: $(VENV)/.test
	@$(BIN)/python -m tests.faults.upstream_rounds $(MINUTES)

# collector and Jaeger away for half a minute and killed; adds up in var/stack.json
stack-faults: $(VENV)/.test
	@.ci/debian
	@$(BIN)/python -m tests.faults.stack $(MINUTES)

# twenty ways in which a query ends, ten times each, again and again; adds up in var/endings.json
endings: $(VENV)/.test
	@$(BIN)/python -m tests.faults.endings $(MINUTES)

# clients that leave at any moment, most near the end; adds up in var/brink.json
brink: $(VENV)/.test
	@$(BIN)/python -m tests.faults.brink $(MINUTES)

# steady traffic with all faults at random, half of the time on each engine; adds up in var/soak.json
soak: $(VENV)/.test
	@.ci/debian
	@$(BIN)/python -m tests.faults.soak $(MINUTES) $(SEED)

# the OpenAPI document, every role, every tenant, a word in every place, every parser, in turn; adds up in var/fuzz.json
fuzz: $(VENV)/.test
	@.ci/debian initdb
	@$(BIN)/python -m tests.hostile $(MINUTES)

# one of them alone; several may run at once
fuzz-openapi fuzz-roles fuzz-tenants fuzz-words fuzz-parsers: $(VENV)/.test
	@.ci/debian initdb
	@$(BIN)/python -m tests.hostile $(MINUTES) $(@:fuzz-%=%)

# what all long profiles found so far
scoreboard: $(VENV)/.test
	@$(BIN)/python -m tests.faults.scoreboard

# beside plain routes and gateways, which are installed into a cache once; ARGS: see tests/bench/serving
bench: $(VENV)/.test
	@.ci/debian cc npm taskset initdb redis-server
	@$(BIN)/python -m tests.bench.serving $(ARGS)
	@$(BIN)/python -m tests.bench.audit_cost
	@$(BIN)/python -m tests.bench.audit_drain
	@$(BIN)/python -m tests.bench.limits

# ten times as many requests as can be answered; adds to var/overload.json
overload: $(VENV)/.test
	@$(BIN)/python -m tests.faults.overload $(MINUTES)

# 10 M decisions of adversaries, a flood of 10 M keys: a quarter of an hour
limits: $(VENV)/.test
	@$(BIN)/python -m tests.faults.limits

# the console's audit list with 100, 100 k and 1 M events on both engines (SIZES=, LOADS=): ten minutes
audit-list: $(VENV)/.test
	@.ci/debian
	@SIZES="$(SIZES)" LOADS="$(LOADS)" $(BIN)/python -m tests.bench.audit_page

# whether the time of a refusal tells what was wrong with a credential (SAMPLES=): figures, never a failure
timing: $(VENV)/.test
	@$(BIN)/python -m tests.bench.timing $(SAMPLES)

# what the wheel needs, as CycloneDX, and the licences of it all; into dist/
sbom: $(VENV)/.test
	@$(BIN)/python -m tests.packaging.sbom

check: $(VENV)/.test
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/basedpyright && $(BIN)/lint-imports

format: $(VENV)/.test
	@$(BIN)/ruff check --fix-only -q . ; $(BIN)/ruff format -q .

lock: $(VENV)/.test
	@$(BIN)/uv lock -q
	@$(BIN)/uv export -q --locked --no-default-groups --group build --no-emit-project -o requirements.lock
	@$(BIN)/python -m config.table > .env.example
	@$(BIN)/python -m tests.house.settings_table

clean:
	@rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist

# What runs the service: every package by its hash.
$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/.made
	@echo "parley: installing locked dependencies into $(VENV)" >&2
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements.lock >&2
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . >&2
	@touch $@

# What tests it: the same versions, and the tools.
$(VENV)/.test: uv.lock pyproject.toml | $(VENV)/.made
	@echo "parley: installing locked test dependencies into $(VENV)" >&2
	@test -x $(BIN)/uv || $(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION) >&2
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv sync -q --locked --inexact --active >&2
	@touch $@

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "parley: Python 3.11 or newer is needed" >&2; exit 1; }
	@echo "parley: making $(VENV) with $(PYTHON)" >&2
	@$(PYTHON) -m venv $(VENV) >&2 || \
		{ echo "parley: the venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@touch $@
