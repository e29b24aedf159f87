# Every target makes the virtual environment it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help env browser demo test check format docs docs-cli bench soak images test-images test-slurm clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

env: $(READY) ## make the virtual environment

# torch first and at its pinned version, so that no other requirement chooses another build of it.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	touch $@

demo: $(READY) ## the whole chain on synthetic clips, in minutes
	$(BIN)/mampctl demo

browser: ## Chromium and its driver, for the tests of pages; from Debian's packages where they are missing
	@if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then \
	  if [ "$$(id -u)" != 0 ]; then echo 'chromium and chromedriver are missing: sudo make browser'; exit 1; fi; \
	  apt-get update -q && apt-get install -q -y --no-install-recommends chromium chromium-driver fonts-dejavu-core; \
	fi

test: $(READY) browser ## the test suite
	$(BIN)/python -m pytest -n 2 -m 'not benchmark and not soak and not images and not slurm'

check: $(READY) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## the documentation as a site, in build/site; open index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo 'build/site/index.html'

docs-cli: $(READY) ## docs/cli.md, from the command tree
	$(BIN)/python docs/cli.py

bench: $(READY) browser ## the benchmarks: ratios against the named baselines
	$(BIN)/python -m pytest -m benchmark -s tests/benchmarks

soak: $(READY) ## processes killed at many more moments than the suite does
	$(BIN)/python -m pytest -m soak tests

images: ## both images, by docker, podman or buildah
	docker/build

test-images: $(READY) ## what the built images hold and do
	$(BIN)/python -m pytest -m images tests/images

test-slurm: $(READY) ## the batch files under a SLURM of this machine; needs slurm-wlm and munge
	$(BIN)/python -m pytest -m slurm tests/slurm

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist
