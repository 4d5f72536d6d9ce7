# make help tells what there is. Each recipe is also a plain command.
PYTHON ?= python3
VENV := .venv
PEERS := .venv-peers
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install install-dev repro experiments restore docs readme links verify serve dashboard test test-fast lint audit benchmark peers constraints release clean

help: ## 1 s | this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\) | \(.*\)/\1|\2|\3/p' $(MAKEFILE_LIST) | \
		awk -F '|' '{printf "  make %-12s %5s  %s\n", $$1, $$2, $$3}'
	@echo '  Times are of 2 cores; before the first of them, the installation takes its own.'

install: $(VENV)/installed ## 4 min | install what the pipeline needs into .venv
install-dev: $(VENV)/installed-dev ## 5 min | the same, with what the dashboard, testing and linting need

repro: install ## 15 s | install, then rebuild what is not up to date, once no other rebuild is at work
	python -m stages

experiments: install ## 3 s | list the experiments: their figures, and how their parameters differ
	python -m benchmarks.experiments

# What it undoes stays in a patch, because it might have been wanted after all.
COMMITTED := params.yaml dvc.lock metrics plots
UNDONE := .dvc/tmp/undone.patch

restore: ## 3 s | undo an experiment: params.yaml and all outputs as in the last commit
	@mkdir -p $(dir $(UNDONE))
	@git diff --quiet HEAD -- $(COMMITTED) || git diff --binary HEAD -- $(COMMITTED) >$(UNDONE)
	@git --no-pager diff --unified=0 HEAD -- params.yaml
	git restore --staged --worktree -- $(COMMITTED)
	dvc checkout --force --quiet
	@test ! -s $(UNDONE) || echo 'To have back what was undone last: git apply $(UNDONE) && make repro'

docs: install-dev ## 1 min | build the site, with search, into docs/_build/html; its notebooks run
	python -m stages --quiet
	sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo 'The site: docs/_build/html/index.html'

readme: install-dev ## 10 s | fill the tables and figures of README.md and of the site
	python -m docs.fill

links: install-dev ## 1 min | check the links of the site to elsewhere, which needs a network
	sphinx-build --define nb_execution_mode=off --quiet --builder linkcheck docs docs/_build/links

verify: install ## 15 s | rebuild the last commit in a temporary clone, and compare every hash with dvc.lock
	python -m benchmarks.verify $(VERIFY)

serve: install ## - | start the HTTP service at port PORT (8000)
	ecg serve

dashboard: install-dev ## - | start the dashboard
	ecg dashboard

test: install-dev ## 8 min | install, then run the tests
	@echo 'The tests take about 8 minutes on 2 cores; make test-fast takes one.'
	python -m pytest

test-fast: install-dev ## 1 min | the tests that need no clone, no browser and no long training
	python -m pytest -m 'not slow' --maxprocesses 2 # more would spend longer on imports

lint: install-dev ## 1 min | format check, linter, arrows between rooms, type checker, Dockerfile
	ruff format --check .
	ruff check .
	lint-imports --no-cache
	mypy
	hadolint Dockerfile

audit: install-dev ## 1 min | licences of what ships, known vulnerabilities of what the service needs
	python -m benchmarks.licences
	python -m benchmarks.vulnerabilities

benchmark: install-dev ## 2 min | print the pipeline's time and memory
	python -m benchmarks.speed

peers: $(PEERS)/installed ## 6 min | install what comparisons with others' detectors need into .venv-peers

# Writes the bill of materials. In an environment of its own: with what it brings, Altair takes a second longer to import.
BOM := cyclonedx-bom

constraints: $(VENV)/bin/uv ## 1 min | pin what is new in pyproject.toml and requirements.txt, and keep the other pins
	{ grep -v '^-' requirements.txt; echo $(BOM); } | \
		UV_CUSTOM_COMPILE_COMMAND='make constraints' uv pip compile --quiet --universal \
		--python-version 3.11 --all-extras --no-annotate --output-file constraints.txt pyproject.toml - $(CONSTRAINTS)
	UV_CUSTOM_COMPILE_COMMAND='make constraints' uv pip compile --quiet --universal --python-version 3.11 --extra service \
		--no-annotate --generate-hashes --constraint constraints.txt --output-file requirements-service.txt pyproject.toml

release: install-dev ## 1 min | into dist: the wheel, and what the service needs, with hashes and as a bill of materials
	rm -rf dist
	python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	cp requirements-service.txt dist
	python -m venv --without-pip dist/service
	python -m pip --python dist/service/bin/python install --quiet --disable-pip-version-check \
		--require-hashes -r requirements-service.txt
	python -m venv dist/materials
	python -m pip --python dist/materials/bin/python install --quiet --disable-pip-version-check -c constraints.txt $(BOM)
	dist/materials/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --validate \
		--output-file dist/service.cdx.json dist/service
	rm -rf dist/materials dist/service

clean: ## 1 s | remove what tests and tools leave behind, but not .venv nor DVC's cache
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache docs/_build dvc_plots screenshots
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@command -v git >/dev/null || { echo 'error: git is needed; install it as packages are on your system' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'error: Python 3.11 or newer is needed, and $(PYTHON) is none: make PYTHON=python3.11' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/bin/uv: | $(VENV)/bin/python
	python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv

# The stamps say that an installation went through to its end; an interrupted one is taken up again.
REQUIREMENTS := requirements.txt constraints.txt pyproject.toml

$(VENV)/installed: $(REQUIREMENTS) | $(VENV)/bin/python
	@python preinstall.py
	python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

# Two steps, because some peers' own requirements exclude our versions, with which they work (benchmarks/peers/alone.txt).
$(PEERS)/installed: $(REQUIREMENTS) benchmarks/peers/requirements.txt benchmarks/peers/alone.txt | $(VENV)/bin/python
	python -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers/requirements.txt
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers/alone.txt
	touch $@

$(VENV)/installed-dev: $(REQUIREMENTS) | $(VENV)/bin/python
	@python preinstall.py
	python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e '.[archive,dashboard,dev,s3]'
	touch $(VENV)/installed $@
