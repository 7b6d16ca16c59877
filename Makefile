# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

BIN := $(CURDIR)/.venv/bin
READY := .venv/ready

# The number of rounds of `make torture`, the seed of the first, and the backend of the journal: sqlite or postgresql, both if empty.
ROUNDS ?= 1000
SEED ?= 1
BACKEND ?=

# Ansible keeps its own files in .ansible, not in the home folder.
export ANSIBLE_HOME := $(CURDIR)/.ansible
export ANSIBLE_REMOTE_TEMP := $(ANSIBLE_HOME)/tmp
export ANSIBLE_COLLECTIONS_PATH := $(ANSIBLE_HOME)/collections

.DEFAULT_GOAL := help
.PHONY: help demo test check venv lint units integration torture bench docs format clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(READY) ## Dispatch and release ten interactions in a simulated contact centre
	@VCC_ACCESS_TOKEN= VCC_TOKEN_CACHE= ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false ANSIBLE_DISPLAY_OK_HOSTS=false \
		ANSIBLE_CALLBACK_RESULT_FORMAT=yaml $(BIN)/ansible-playbook vonage.vcc.demo
	@printf '%s\n' '' \
		'Next, try tasks of your own. This starts a simulated contact centre and opens' \
		'a shell that uses it; exit ends both:' '' \
		'    .venv/bin/python -m tests.simulator bash' '' \
		'In that shell, dispatch an interaction and release it:' '' \
		'    ansible localhost -m vonage.vcc.vcc_interaction \' \
		'        -a "state=dispatched route=sales external_id=case-1"' \
		'    ansible localhost -m vonage.vcc.vcc_interaction -a external_id=case-1'

# Run sessions of nox and print a table of their results.
# $(1): options for nox, $(2): name of the report, $(3): options for summary.py
nox = mkdir -p .nox && rm -rf .nox/$(2).json .nox/skipped; $(BIN)/nox $(1) --report .nox/$(2).json; code=$$?; \
	$(BIN)/python tests/tools/summary.py $(3) .nox/$(2).json || code=1; exit $$code

test: $(READY) ## Run the tests with one Python and one ansible-core
	@sh tests/tools/install_postgresql.sh || true
	@$(call nox,--tags test,test,--in-venv)

check: $(READY) ## Run every other check and test: all versions, lint, documentation, package, rulebook, more fault tests
	@command -v ssh-keygen > /dev/null || sh tests/tools/apt_install.sh openssh-client || true
	@sh tests/tools/install_postgresql.sh || true
	@sh tests/tools/install_chromium.sh || true
	@$(call nox,,check)

venv: $(READY) ## Create .venv with ansible-core, pytest and nox

$(READY): tests/tools/make_venv.sh tests/constraints.txt tests/requirements-dev.txt tests/simulator/requirements.txt
	@sh tests/tools/make_venv.sh
	@touch $@

lint: $(READY) ## Check format, code, YAML, types and Ansible content
	@$(BIN)/nox -s lint ansible-lint

format: $(READY) ## Format the Python files
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

units: $(READY) ## Run the unit tests with the Python and ansible-core of .venv
	@$(BIN)/nox -s units

integration: $(READY) ## Run the integration target with every ansible-core
	@$(BIN)/nox -t integration

torture: $(READY) ## Run ROUNDS fault tests, starting at seed SEED, and as many histories of tasks
	@PYTHONPATH=$(ANSIBLE_COLLECTIONS_PATH) $(BIN)/python -m tests.faults.campaign --rounds $(ROUNDS) --seed $(SEED) $(addprefix --backend ,$(BACKEND)); \
		code=$$?; HISTORIES=$(ROUNDS) $(BIN)/pytest -q --numprocesses 2 --hypothesis-seed=$(SEED) tests/unit/plugins/module_utils/_interactions/test_exactness.py \
		|| code=1; exit $$code

docs: $(READY) ## Build the documentation as a site, and print its address
	@$(BIN)/nox -s docs

bench: $(READY) ## Measure speed, memory and calls against goals; takes a quarter of an hour, OPTIONS=--quick two minutes
	@$(BIN)/nox -s bench -- $(OPTIONS)

clean: ## Remove all files that the other targets create
	rm -rf .venv .nox .ansible .mypy_cache .pytest_cache .ruff_cache .hypothesis docs/build tests/output
	find . -name .git -prune -o -name __pycache__ -prune -exec rm -rf {} +
