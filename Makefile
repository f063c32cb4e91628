# The developer's index. Every target prepares what it needs.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8000
DATA   ?= data
ROW    ?=

.DEFAULT_GOAL := help
.PHONY: help run test check bench fsck system system-bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[embedded,tracker]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.run

run: $(VENV)/.run ## Start the server with demo data; PORT, DATA and SCREEN=1 are yours to set
	@exec env WORKROOM_PORT=$(PORT) WORKROOM_DATA=$(DATA) $(BIN)/python -m app demo $(if $(filter 1,$(SCREEN)),--screen)

test: $(VENV)/.dev system check ## Check, then run every test: two files at a time, faults alone
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not faults"
	$(BIN)/python -m pytest -m faults

check: $(VENV)/.dev ## Lint, types, layers, house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev system-bench ## Measure beside peers; ROW=fan-out runs one row
	$(BIN)/python -m bench $(ROW)

fsck: $(VENV)/.run ## Check every record in DATA
	@WORKROOM_DATA=$(DATA) $(BIN)/python -m app fsck

# What the tests use beside Python packages. Without it they are skipped, and say how to get it.
SYSTEM := chromium redis-server postgresql xvfb xterm fonts-dejavu-core
SYSTEM_BENCH := gcc libc6-dev nginx libnginx-mod-nchan nats-server redis-server

define install_packages
	@missing=""; for package in $(1); do dpkg -s $$package >/dev/null 2>&1 || missing="$$missing $$package"; done; \
	if [ -z "$$missing" ]; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	else echo "To run everything, install:$$missing"; fi
endef

system:
	$(call install_packages,$(SYSTEM))

system-bench:
	$(call install_packages,$(SYSTEM_BENCH))

clean: ## Remove the environment and what was built
	rm -rf $(VENV) build
