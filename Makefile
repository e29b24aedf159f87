# Every target creates the virtual environment that it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help env browser demo test check format docs docs-cli bench soak images test-images test-slurm clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

env: $(READY) ## create the virtual environment

# Install torch first, at its pinned version, so that no other requirement selects another build.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	touch $@

demo: $(READY) ## run the whole chain on synthetic clips, in minutes
	$(BIN)/mampctl demo

browser: ## install Chromium and its driver for the tests of pages, from Debian's packages
	@if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then \
	  if [ "$$(id -u)" != 0 ]; then echo 'chromium and chromedriver are missing: sudo make browser'; exit 1; fi; \
	  apt-get update -q && apt-get install -q -y --no-install-recommends chromium chromium-driver fonts-dejavu-core; \
	fi

test: $(READY) browser ## run the test suite
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m 'not benchmark and not soak and not images and not slurm'

check: $(READY) ## check format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## build the documentation as a site, in build/site; open index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo 'build/site/index.html'

docs-cli: $(READY) ## write docs/cli.md from the command tree
	$(BIN)/python docs/cli.py

bench: $(READY) browser ## run the benchmarks: ratios against named baselines
	$(BIN)/python -m pytest -m benchmark -s tests/benchmarks

soak: $(READY) ## kill processes at many more moments than the suite does
	$(BIN)/python -m pytest -m soak tests

images: ## build both images, with docker, podman or buildah
	docker/build

test-images: $(READY) ## test the built images
	$(BIN)/python -m pytest -m images tests/images

test-slurm: $(READY) ## test the batch files on a local SLURM; needs slurm-wlm and munge
	$(BIN)/python -m pytest -m slurm tests/slurm

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist
