# Needs Python 3.11 or later, pip and make; everything else is installed into .venv.

# The first interpreter that is new enough; choose another with `make PYTHON=...`.
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14 python; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$python; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
TORCH := $(shell grep '^torch==' constraints.txt)

# A thread pool in each test process would fight the others for the cores.
export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help demo venv test lint types suite faults fuzz release wheel checkpoint clean

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

venv: $(STAMP)  ## Install the project and its tools, as constraints.txt pins them, into .venv

# The stamp comes last: an install that was cut short is taken up again by the next run.
$(STAMP): pyproject.toml constraints.txt
	@rm -f $@
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "packdepth needs Python 3.11 or later, but '$(or $(PYTHON),python3)' is none: install it, or name one with 'make PYTHON=/path/to/python3.11'." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || \
	  { echo "Creating $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "Installing $(TORCH) (the large one: several minutes on a slow line)"
	@$(PIP) install --quiet -c constraints.txt $(TORCH)
	@echo "Installing the other dependencies and packdepth itself"
	@$(PIP) install --quiet -c constraints.txt hatchling editables
	@$(PIP) install --quiet -c constraints.txt --no-build-isolation -e '.[dev,city,pretrained]'
	@echo "Installed into $(VENV): packdepth $$($(BIN)/python -c 'import packdepth; print(packdepth.__version__)')"
	@touch $@

demo: $(STAMP)  ## Render, train, judge: demo/report.html in ten minutes; QUICK=1 for three
	$(BIN)/packdepth demo demo $(if $(QUICK),--quick)

.PHONY: docs
docs: $(STAMP)  ## Build the site of the pages: site/index.html
	@$(BIN)/python -c 'import zensical' 2>/dev/null || $(PIP) install --quiet -c constraints.txt '$(shell grep '^zensical==' constraints.txt)'
	$(BIN)/python docs/build_site.py

test: lint types suite  ## Check everything: lint, types, the whole suite

lint: $(STAMP)  ## Style: ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## Types: mypy
	$(BIN)/mypy

suite: $(STAMP)  ## The whole test suite, on two processes
	$(BIN)/python -m pytest -n 2

faults: $(STAMP)  ## Kill, signal, starve and double all commands that write, at each file operation or at N=4 of them: hours, or one
	PYTHONPATH=tests $(BIN)/python tests/faults/attack.py $(if $(N),--points $(N)) $(if $(ONLY),--only '$(ONLY)')

fuzz: $(STAMP)  ## Many mutations of the files of every reader, with a table: N=2000 of each
	PYTHONPATH=tests $(BIN)/python tests/faults/fuzz.py $(if $(N),--mutations $(N)) $(READERS)

VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' src/packdepth/__init__.py)
TRY := .venv-release
DEMO := demo$(if $(QUICK),/quick)

release: wheel checkpoint  ## All that a release needs, built and tried, in dist/; QUICK=1 trains less
	@ls -l dist

# The wheel is tried in an environment of its own, in which nothing but its dependencies is installed.
wheel: $(STAMP)  ## Build sdist and wheel, check them, install the wheel and run commands of the README
	@grep -q '^## \[$(VERSION)\]' CHANGELOG.md || { echo "CHANGELOG.md has no section [$(VERSION)]: write it" >&2; exit 1; }
	rm -rf dist/packdepth-$(VERSION)* $(TRY)
	$(PIP) install --quiet build twine
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m twine check --strict dist/packdepth-$(VERSION).tar.gz dist/packdepth-$(VERSION)-py3-none-any.whl
	$(PYTHON) -m venv --clear $(TRY)
	$(TRY)/bin/python -m pip install --quiet -c constraints.txt $(TORCH)
	$(TRY)/bin/python -m pip install --quiet -c constraints.txt dist/packdepth-$(VERSION)-py3-none-any.whl
	cd $(TRY) && for words in --version doctor "demo --help" configs "completion bash"; do \
	  bin/packdepth $$words >said.txt || { cat said.txt; exit 1; }; done
	rm -rf $(TRY)

# Rendered images are packdepth's own, so that the checkpoint may be given to anybody. ZIP and card are in dist/.
checkpoint: $(STAMP)  ## Train the demo's network, and pack it with its card, 22 MB, and as ONNX, 15 MB: to try
	$(BIN)/packdepth demo -o demo $(if $(QUICK),--quick)
	@mkdir -p dist && rm -rf dist/packdepth-city-$(VERSION)*
	$(BIN)/packdepth evaluate $(DEMO)/run/best --protocol city --data $(DEMO)/data/test --json $(DEMO)/numbers.json
	$(BIN)/packdepth predict $(DEMO)/run/best $(DEMO)/data/test/test-0000 -o $(DEMO)/look --save color --beside
	$(BIN)/packdepth push $(DEMO)/run/best file://$(CURDIR)/dist/packdepth-city-$(VERSION).zip \
	  --numbers $(DEMO)/numbers.json --picture "$$(ls $(DEMO)/look/color/*.png | head -1)" --license apache-2.0 \
	  --data-license "rendered by packdepth city, no data of others"
	$(BIN)/packdepth export $(DEMO)/run/best -o dist/packdepth-city-$(VERSION).onnx --images $(DEMO)/data/test/test-0000

clean:  ## Remove .venv, builds and caches
	rm -rf $(VENV) $(TRY) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf site
