# Two commands matter: `make lab` and `make test`. Everything lives in .venv; delete it to start afresh.

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=

python := $(VENV)/bin/python
pip    := $(python) -m pip install --quiet --disable-pip-version-check
first  := $(notdir $(firstword $(sort $(wildcard notebooks/00-*.ipynb))))
books  := $(wildcard notebooks/*.ipynb notebooks/solutions/*.ipynb)

# What is compared must not depend on who looks: no progress bars, no windows.
checks := EVSIM_PROGRESS=off MPLBACKEND=agg $(python) -m
nbval  := pytest --nbval --nbval-current-env

export PIP_ROOT_USER_ACTION = ignore

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help lab test test-all lint bench notebooks clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  A server without a browser: make lab ARGS="--no-browser --port 9999".  Another Python: make lab PYTHON=python3.12'

lab: $(VENV)/.lab  ## install what is missing, then open JupyterLab on notebooks/
	@$(python) -m jupyterlab --ip=127.0.0.1 --ServerApp.root_dir='$(CURDIR)/notebooks' \
	  $(if $(first),--LabApp.default_url=/lab/tree/$(first)) $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS)

test: lint  ## install what is missing, then run every check
	$(checks) pytest
	$(if $(books),$(checks) $(nbval) $(books),@echo 'no notebooks yet')

test-all: lint  ## the same with the slow sweeps over many seeds
	$(checks) pytest -m 'not benchmark'
	$(if $(books),$(checks) $(nbval) $(books),@echo 'no notebooks yet')

lint: $(VENV)/.test  ## style, spelling, types and import contracts
	$(checks) ruff check .
	$(checks) ruff format --check .
	$(checks) codespell_lib
	$(checks) mypy
	$(VENV)/bin/lint-imports --no-logo

bench: $(VENV)/.test  ## wall-clock ratios: evsim against idiomatic SimPy, runs interleaved
	$(checks) pytest -m benchmark -s tests/benchmarks

notebooks: $(VENV)/.test  ## execute the notebooks afresh, then write them in their one normal form
	$(checks) evsim.classroom.notebooks run

clean:  ## remove .venv, caches and build products
	rm -rf '$(VENV)' build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache

# The environment. Stamps remember what was installed; a changed pyproject.toml installs again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "evsim needs Python 3.11 or later, and '$(PYTHON)' is not - name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "This Python cannot make virtual environments - on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv '$(VENV)'
	@touch $@

$(VENV)/.lab: $(VENV)/.made pyproject.toml
	@echo 'Installing evsim and JupyterLab into $(VENV) (once, a minute or two) ...'
	$(pip) --editable .
	@$(python) -m jupyter labextension disable --level=sys_prefix @jupyterlab/apputils-extension:announcements >/dev/null  # no news pop-up
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	@echo 'Installing evsim and what its checks need into $(VENV) (once, a minute or two) ...'
	$(pip) --editable '.[test]'
	@touch $@
