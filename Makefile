# The two commands of the README are `make up` and `make test`; each makes its own environment first.
.DEFAULT_GOAL := help
.PHONY: help up test lint format bench bench-routing storm compat foreign native lock clean \
  lint-style lint-format lint-sizes lint-arrows lint-types

RUN := .venv/.made-for-running
DEV := .venv/.made-for-development
NATIVE := .venv/.made-native
BIN := .venv/bin
TREES := $(wildcard src tests benchmarks gates integrations)

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

up: $(RUN) $(NATIVE) ## start Freehold (options: make up ARGS="--config freehold.yaml")
	@$(BIN)/freehold up $(ARGS)

test: $(DEV) ## all tests except those marked foreign (options: make test ARGS="-k ledger")
	@$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup -m "not foreign" $(ARGS)

foreign: $(DEV) ## verify a log of ours with verifiers that we did not write
	@$(BIN)/python -m pytest -m foreign $(ARGS)

lint: lint-style lint-format lint-sizes lint-arrows lint-types ## all of style, format, sizes, arrows, types

lint-style: $(DEV)
	@$(BIN)/ruff check $(TREES)

lint-format: $(DEV)
	@$(BIN)/ruff format --check $(TREES)

lint-sizes: $(DEV)
	@$(BIN)/python gates/sizes.py

lint-arrows: $(DEV)
	@$(BIN)/lint-imports --no-cache --no-logo

lint-types: $(DEV)
	@$(BIN)/pyright

format: $(DEV) ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix $(TREES)
	@$(BIN)/ruff format $(TREES)

bench: $(DEV) $(NATIVE) ## measure against the peers; ARGS=memory|ledger|routing|... for others
	@$(BIN)/python -m benchmarks $(ARGS)
	@[ -n "$(ARGS)" ] || $(BIN)/python -m benchmarks servers

bench-routing: $(DEV) ## the router on outcome data (make bench-routing DATA=FOLDER [TRAIN=FOLDER])
	@$(BIN)/python -m benchmarks routing $(DATA) $(TRAIN)

storm: $(DEV) ## kills, hangs, reloads and leaving clients under load, for 3 minutes
	@FREEHOLD_STORM_S=180 $(BIN)/python -m pytest -s tests/chaos

compat: $(DEV) ## programs that we did not write, through Freehold
	@$(BIN)/python -m tests.compat $(ARGS)

native: $(RUN) $(NATIVE) ## compile the hot modules, where there is a C compiler

lock: ## pin new versions after a change of the dependencies (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header \
	  --extra engine --extra top --group build pyproject.toml -o requirements/run.lock
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header \
	  --extra engine --extra top --group build --group dev -c requirements/run.lock pyproject.toml -o requirements/dev.lock

clean: ## remove the environment and caches
	rm -rf .venv .ruff_cache .hypothesis .import_linter_cache

# An environment is made again only when what it was made from has changed.
$(RUN): requirements/run.lock pyproject.toml scripts/environment
	@echo "Making .venv for running (once, takes a minute) ..."
	@scripts/environment run
	@touch $@

$(DEV): requirements/dev.lock pyproject.toml scripts/environment
	@echo "Making .venv for development (once, takes a minute) ..."
	@scripts/environment dev
	@touch $(RUN) $@

$(NATIVE): $(wildcard src/freehold/gateway/*.py) requirements/native.lock scripts/native | $(RUN)
	@$(BIN)/python scripts/native
	@touch $@
