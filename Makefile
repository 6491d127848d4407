# Every target sets up .venv by itself where it is missing or stale; a second run starts at once.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Where torch comes from; empty: pip's own settings. The CPU build, from its own index, is much smaller.
TORCH_INDEX_URL ?=
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
BIN := .venv/bin
# A stamp named after what is installed and where: with either changed it is missing.
STAMP := .venv/installed-$(shell (pwd; cat pyproject.toml constraints.txt) | cksum | tr ' ' '-')
CAPTURE ?=
SPEED ?=
# What learning runs compiled is kept in ~/.cache/kalshiflow; where it is there, this takes a second.
COMPILE := $(BIN)/python -m kalshiflow.learning.compiled
PYTEST := $(BIN)/python -m pytest
# Tests wait more than they compute: three at a time keep two cores busy.
WORKERS ?= 3
TESTS := $(PYTEST) -m "not soak" -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench soak up down clean

help:
	@echo "make demo   the whole loop on this machine, checked (CAPTURE=FILE SPEED=X: on a recording)"
	@echo "make test   all tests"
	@echo "make up     the stack in the background; make down ends it"
	@echo "make check  format, lint, types, import contracts, tests"
	@echo "make bench  speed;  make soak  the long tests;  make setup  only .venv;  make clean"

setup: $(STAMP)

$(STAMP):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; none was found. Install it, or name it: make PYTHON=/path/to/python"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed; $(PYTHON) is %d.%d. Name another: make PYTHON=/path/to/python" % sys.version_info[:2])'
	@echo "Setting up .venv. This downloads about 500 MB of packages, and torch $(TORCH):"
	@echo "about 200 MB as the CPU build, about 3 GB where the index gives the CUDA build (PyPI on Linux does). It takes some minutes."
	@echo "torch comes from $(if $(TORCH_INDEX_URL),$(TORCH_INDEX_URL),pip's index; set TORCH_INDEX_URL to take another)."
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX_URL),--index-url "$(TORCH_INDEX_URL)") "torch==$(TORCH)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,clients]"
	@echo "Compiling what learning runs, once for this machine (about a minute):"
	$(COMPILE)
	@rm -f .venv/installed-*
	@touch $@

demo: $(STAMP)
	@$(BIN)/kalshiflow demo $(if $(CAPTURE),--capture "$(CAPTURE)") $(if $(SPEED),--speed "$(SPEED)")

test: $(STAMP)
	@$(COMPILE)
	$(TESTS)

soak: $(STAMP)
	$(PYTEST) -m soak --timeout 0 -p no:randomly -rA

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(COMPILE)
	$(TESTS)

bench: $(STAMP)
	@set -e; for bench in benchmarks/*.py; do \
		test -e "$$bench" || { echo "there are no benchmarks"; exit 1; }; \
		echo "== $$bench"; $(BIN)/python "$$bench"; \
	done

up: $(STAMP)
	@$(BIN)/kalshiflow up

down: $(STAMP)
	@$(BIN)/kalshiflow down

# Removes what can be made again. Recordings and policies of `make up` (.kalshiflow) stay.
clean:
	@if [ -x $(BIN)/kalshiflow ]; then \
		$(BIN)/kalshiflow down; RL_STATE_DIR=.kalshiflow-demo $(BIN)/kalshiflow down --remove; \
	fi
	rm -rf .venv .kalshiflow-demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
