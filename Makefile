# Everything is done from here; `make help` lists it. Needs make and Python 3.11, 3.12 or 3.13.

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
unexport PYTHONDONTWRITEBYTECODE # the tests start hundreds of processes: none should compile what another one has

.DEFAULT_GOAL := help
.PHONY: help run test check format contract bench bench-policy bench-stats lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

run: $(VENV)/.runtime ## the whole thing on this machine with simulated providers: make run ARGS=--once
	@$(BIN)/photochanger demo $(ARGS)

test: $(VENV)/.dev ## every test
	@$(BIN)/python -m tests.lab.system
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.dev ## style, types, walls between the packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

format: $(VENV)/.dev ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

contract: $(VENV)/.dev ## ops/contracts from the code; keep it as released: make contract ARGS=--release
	$(BIN)/python -m tests.contracts.files $(ARGS)

bench: $(VENV)/.dev ## figures against a bare server, in one run: make bench ARGS=--quick
	$(BIN)/python -m tests.lab.bench $(ARGS)

bench-policy: $(VENV)/.dev ## what the window policy is worth, on a clock that jumps: make bench-policy ARGS=--quick
	$(BIN)/python -m tests.lab.bench_policy $(ARGS)

bench-stats: $(VENV)/.dev ## what statistics cost, however long the history: make bench-stats ARGS=--quick
	$(BIN)/python -m tests.lab.bench_stats $(ARGS)

LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
lock: ## pin the newest dependencies that pyproject.toml allows (needs uv on the path)
	$(LOCK) pyproject.toml -o constraints.txt
	$(LOCK) pyproject.toml --extra dev -o constraints-dev.txt
	printf '%s\n' setuptools pkgconfig cffi hatchling editables | $(LOCK) - -o constraints-build.txt

clean: ## remove what was made here, except var/
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# The first Python that is new enough and whole; a pyenv shim without a version behind it is not.
$(VENV)/bin/python:
	@for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
	  if $$python -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	    echo "· Making $(VENV) with $$($$python --version)"; exec $$python -m venv $(VENV); fi; done; \
	echo "Python 3.11, 3.12 or 3.13 with venv is needed (on Debian and Ubuntu: the package python3-venv)." >&2; exit 1

# One package, pyvips, comes as source: it is built here with pinned tools (constraints-build.txt), and without
# pkg-config, so that it uses the libvips of the pinned pyvips-binary and not one that this machine may have.
PIP := PKG_CONFIG=false $(BIN)/python -m pip --disable-pip-version-check --quiet --require-virtualenv
INSTALL := $(PIP) install --require-hashes --only-binary :all:
FROM_SOURCE := --no-binary pyvips --no-build-isolation

$(VENV)/.runtime: constraints.txt constraints-build.txt pyproject.toml | $(VENV)/bin/python
	@echo "· Installing pinned packages (once; about a minute)"
	@$(INSTALL) -r constraints-build.txt
	@$(INSTALL) $(FROM_SOURCE) -r constraints.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: constraints-dev.txt constraints-build.txt pyproject.toml | $(VENV)/bin/python
	@echo "· Installing pinned packages for development (once)"
	@$(INSTALL) -r constraints-build.txt
	@$(INSTALL) $(FROM_SOURCE) -r constraints-dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
