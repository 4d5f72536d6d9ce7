# make help tells what there is. Each recipe is also a plain command, which README.md shows.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# Neither what an experiment is doing, nor a figure that one compares experiments by, nor a parameter.
FIGURES := development_auc|auc|average_precision|f1|false_positive_rate
OTHER_COLUMNS := ^(?!(Experiment|State|$(FIGURES))$$|(fetch|preprocess|train|models|calibrate|recording)\.)

.DEFAULT_GOAL := help
.PHONY: help install install-dev repro experiments verify serve dashboard test lint audit benchmark constraints release clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

install: $(VENV)/installed ## install what the pipeline needs into .venv
install-dev: $(VENV)/installed-dev ## the same, with what the dashboard, testing and linting need

repro: install ## install, then rebuild everything that is not up to date, once no other rebuild is at work here
	python -m stages

experiments: install ## list the experiments: the metrics that matter, the parameters that differ
	dvc exp show --no-pager --only-changed --hide-workspace --sort-by auc --sort-order desc --drop '$(OTHER_COLUMNS)'

# What it undoes stays in a patch, because it might have been wanted after all.
COMMITTED := params.yaml dvc.lock metrics plots
UNDONE := .dvc/tmp/undone.patch

restore: ## go back to the last commit: params.yaml, dvc.lock, metrics, plots, data, models; a few seconds
	@mkdir -p $(dir $(UNDONE))
	@git diff --quiet HEAD -- $(COMMITTED) || git diff --binary HEAD -- $(COMMITTED) >$(UNDONE)
	@git --no-pager diff --unified=0 HEAD -- params.yaml
	git restore --staged --worktree -- $(COMMITTED)
	dvc checkout --force --quiet
	@test ! -s $(UNDONE) || echo 'To have back what was undone last: git apply $(UNDONE) && make repro'

verify: install ## rebuild all in a temporary clone of the last commit and compare every hash with dvc.lock
	python -m benchmarks.verify $(VERIFY)

serve: install ## start the HTTP service at port PORT (8000)
	ecg serve

dashboard: install-dev ## start the dashboard
	ecg dashboard

test: install-dev ## install, then run the tests
	python -m pytest

lint: install-dev ## format check, linter, arrows between rooms, type checker, Dockerfile
	ruff format --check .
	ruff check .
	lint-imports --no-cache
	mypy
	hadolint Dockerfile

audit: install-dev ## licences of what ships, known vulnerabilities of what the service installs
	python -m benchmarks.licences
	python -m benchmarks.vulnerabilities

benchmark: install-dev ## print the pipeline's time and memory
	python -m benchmarks.speed

constraints: $(VENV)/bin/uv ## pin what is new in pyproject.toml and requirements.txt, and keep the pins that are there
	grep -v '^-' requirements.txt | UV_CUSTOM_COMPILE_COMMAND='make constraints' uv pip compile --quiet --universal \
		--python-version 3.11 --all-extras --no-annotate --output-file constraints.txt pyproject.toml - $(CONSTRAINTS)
	UV_CUSTOM_COMPILE_COMMAND='make constraints' uv pip compile --quiet --universal --python-version 3.11 --extra service \
		--no-annotate --generate-hashes --constraint constraints.txt --output-file requirements-service.txt pyproject.toml

release: install-dev ## into dist: the wheel, and what the service needs, pinned with hashes and as a bill of materials
	rm -rf dist
	python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	cp requirements-service.txt dist
	python -m venv --without-pip dist/service
	python -m pip --python dist/service/bin/python install --quiet --disable-pip-version-check \
		--require-hashes -r requirements-service.txt
	cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --validate \
		--output-file dist/service.cdx.json dist/service
	rm -rf dist/service

clean: ## remove what tests and tools leave behind, but not .venv nor DVC's cache
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache dvc_plots screenshots
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/bin/uv: | $(VENV)/bin/python
	python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv

# The stamps say that an installation went through to its end; an interrupted one is taken up again.
REQUIREMENTS := requirements.txt constraints.txt pyproject.toml

$(VENV)/installed: $(REQUIREMENTS) | $(VENV)/bin/python
	python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/installed-dev: $(REQUIREMENTS) | $(VENV)/bin/python
	python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e '.[dashboard,dev]'
	touch $(VENV)/installed $@
