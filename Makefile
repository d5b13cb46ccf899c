PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
KENLM := $(VENV)/.kenlm
DATA ?=
ARGS ?=

# SpeechBrain's rules for its YAML files.
define YAML_RULES
extends: default
rules:
  document-start: disable
  truthy: {allowed-values: ['True', 'False'], level: error}
  comments: disable
  comments-indentation: disable
  line-length: {level: warning, allow-non-breakable-inline-mappings: true}
endef
export YAML_RULES

.DEFAULT_GOAL := help
.PHONY: help install demo test browser docs lint lint-yaml clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' \
		$(firstword $(MAKEFILE_LIST))

install: $(STAMP)  ## make .venv with everything in it (PYTHON=python3.12)

$(STAMP): setup.py constraints.txt
	@$(PYTHON) -m venv $(VENV) || { \
		echo "No virtual environment could be made with $(PYTHON)." >&2; \
		echo "On Debian or Ubuntu: apt-get install python3-venv" >&2; \
		exit 1; }
	$(BIN)/python -m pip install -c constraints.txt -e ".[test,demo]"
	$(BIN)/python -m d2v_sb.cpu_torchaudio
	@touch $@

# Language models' tests need kenlm, of which there is no wheel.
$(KENLM): $(STAMP)
	@echo "Compiling kenlm for the tests of language models: 1 to 2 minutes."
	@if $(BIN)/python -m pip install -c constraints.txt -e ".[lm]" \
		> $(VENV)/kenlm.log 2>&1; then touch $@; else \
		echo "It could not be compiled ($(VENV)/kenlm.log): these tests skip."; \
		echo "On Debian or Ubuntu: apt-get install g++ python3-dev"; fi

demo: install  ## fine-tune a small model and transcribe with it (DATA=folder)
	$(BIN)/python recipes/LibriSpeech/demo.py \
		$(if $(DATA),--data_folder "$(DATA)")

test: install $(KENLM)  ## run every test and docstring example (ARGS="-k masking")
	$(BIN)/python -m pytest -q -rs --durations=10 \
		-n auto --maxprocesses 4 --dist loadfile $(ARGS)

browser:  ## install Debian's Chromium, in which the page's tests run (as root)
	@command -v chromium > /dev/null || { \
		apt-get update -qq && apt-get install -y -qq chromium; }

docs: install  ## build the documentation into site/
	$(BIN)/sphinx-build -q -W --keep-going -b html docs site
	@echo "site/index.html"

lint: install lint-yaml  ## check style, spelling and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy

lint-yaml: install
	$(BIN)/yamllint -d "$$YAML_RULES" hparams

clean:  ## remove .venv, caches and build leftovers; keep data and results
	rm -rf $(VENV) build dist *.egg-info site docs/api
	rm -rf .pytest_cache .ruff_cache .mypy_cache
	find d2v_sb recipes tests -name __pycache__ -prune -exec rm -rf {} +
