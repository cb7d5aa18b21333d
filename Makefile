# `make run` and `make test` need Python 3.11 or newer and the package registries.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PARTS := check unit integration faults-short
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run test bench check unit integration faults faults-short set-up-tests \
	docs dashboard picture screenshots image requirements clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

run: $(VENV)/embedded.done ## Run the service with a NATS of its own on http://localhost:8088
	@SSE_ADMIN_ENABLED=$${SSE_ADMIN_ENABLED-true} exec $(BIN)/python manage.py serve --with-nats

test: ## Everything that CI runs, in parts: says which and how long each took
	@for part in $(PARTS); do \
		echo "== $$part: $$(sed -n "s/^$$part:.*## //p" $(firstword $(MAKEFILE_LIST)))"; \
		begun=$$(date +%s); outcome=took; \
		$(MAKE) --no-print-directory $$part || outcome="failed after"; \
		said="$$said$$(printf '== %-12s %s %d s' $$part "$$outcome" $$(($$(date +%s) - begun)))\n"; \
		[ "$$outcome" = took ] || { printf "$$said" >&2; exit 1; }; \
		printf "$$said"; \
	done

check: $(VENV)/dev.done ## Linters, types and known vulnerabilities of the packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	SSE_AUTHENTICATION_TOKEN=types $(BIN)/mypy
	SSE_AUTHENTICATION_TOKEN=types $(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.audit

unit: $(VENV)/dev.done ## Tests of single modules, without servers
	$(BIN)/python -m pytest tests/unit

integration: set-up-tests ## Tests against real servers, brokers, SDKs, proxies and a browser
	$(BIN)/python -m pytest -n 2 --reruns 1 tests/integration tests/sdks tests/host_project tests/flagsmith_api tests/deploy tests/admin

set-up-tests: $(VENV)/dev.done ## Install what the tests need besides Python packages
	$(BIN)/python -m tests.set_up

faults-short: set-up-tests ## Two minutes of faults under the ledger
	$(BIN)/python -m tests.faults --short

faults: set-up-tests ## Ten minutes of all faults; writes docs/reliability.md
	$(BIN)/python -m tests.faults --minutes 10

bench: $(VENV)/dev.done ## Measure fan-out, publishing, memory; writes docs/benchmarks.md
	$(BIN)/python -m tests.set_up bench
	$(BIN)/python -m tests.bench

screenshots: set-up-tests ## Draw the admin's pages into docs/images
	$(BIN)/python -m tests.admin.screenshots

docs: $(VENV)/dev.done ## Write the table of settings, and the runbook for the admin
	$(BIN)/python -m docs.settings_table
	$(BIN)/python -m docs.runbook

image: ## Build the container image
	docker build --file docker/Dockerfile --tag flagsmith-sse \
		--build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' realtime/__init__.py)" \
		--build-arg REVISION="$$(git rev-parse HEAD)" .

dashboard: $(VENV)/dev.done ## Write Grafana's dashboard anew from its source
	$(BIN)/python -m docs.dashboard.dashboard

picture: set-up-tests ## Draw the dashboard's panels from a real Prometheus
	$(BIN)/python -m docs.dashboard.picture

requirements: $(VENV)/dev.done ## Pin the newest versions that requirements/*.in allow
	cd requirements && inputs=app.in && for set in base serve postgres embedded dev; do \
		inputs="$$inputs $$set.in"; \
		CUSTOM_COMPILE_COMMAND="make requirements" ../$(BIN)/pip-compile --quiet --upgrade \
			--strip-extras --no-annotate --no-emit-index-url --no-emit-find-links \
			--no-emit-trusted-host --no-emit-options --output-file $$set.txt $$inputs; \
	done

clean: ## Remove everything that the other targets made
	rm -rf $(VENV) .nats build dist *.egg-info tests/sdks/node_modules tests/flagsmith_api/.venv .pytest_cache .mypy_cache .ruff_cache .hypothesis db.sqlite3

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv $(VENV) || { rm -f $@; exit 1; }

# pip's own words are shown if it fails.
$(VENV)/%.done: requirements/%.txt $(VENV)/bin/python
	@echo "Installing the packages into $(VENV), a minute or so…"
	@$(BIN)/pip install --quiet --requirement $< >$(VENV)/pip.log 2>&1 || { cat $(VENV)/pip.log >&2; exit 1; }
	@touch $@
