# What a developer runs. `make` alone prints this list; every target does the set-up it needs.
.DEFAULT_GOAL := help
.PHONY: help setup demo quick test-quick test test-all attacks fuzz bench faults coverage zoo golden style operators port-coverage port-scripts docs site translations dist lint types clean distclean

# Compiled files are kept wherever tests run, or each of the four test runs would compile every file again.
unexport PYTHONDONTWRITEBYTECODE

ONEFLOW := .venv/bin/python
# Arguments for pytest: make test ARGS='-k conv -x'
ARGS ?=
# For how long damaged files are tried.
SECONDS ?= 3600

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## make the environments: .venv (OneFlow), .venv-torch (today's PyTorch), .venv-core (neither)
	@sh scripts/setup.sh

demo: setup ## convert four models that PyTorch wrote and run them in OneFlow
	@$(ONEFLOW) scripts/demo.py

quick: setup ## in a minute: lint, types, and the tests that need neither PyTorch nor OneFlow nor another process
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target lint types test-quick

test-quick:
	$(ONEFLOW) -m pytest --numprocesses 2 --dist loadfile -m 'not oneflow and not torch and not child and not once' $(ARGS)

test: setup ## run every test, each environment running the tests whose packages it has
	@bash scripts/test.sh $(ARGS)

test-all: setup ## the same, of the long lists (models, pairs, faults, ranks) not some but all
	TORCH2FLOW_TEST_ALL=1 bash scripts/test.sh $(ARGS)

attacks: setup ## attack the readers and the command line for an hour, and count (SECONDS=600 for less)
	@$(ONEFLOW) scripts/attacks.py --seconds $(SECONDS) $(ARGS)

fuzz: setup ## read damaged files of every kind for an hour, and count (SECONDS=600 for less)
	@$(ONEFLOW) scripts/attacks.py --readers --seconds $(SECONDS) $(ARGS)

bench: setup ## measure speed and memory (minutes, and some 20 GB of disk)
	@$(ONEFLOW) benchmarks/run.py $(ARGS)

faults: setup ## put faults into converted models, and count how many verification catches and locates (an hour; goes on where it was ended)
	@$(ONEFLOW) scripts/faults.py $(ARGS)

coverage: setup ## capture, convert, run and judge every model, for docs/coverage.md (hours; ARGS='timm/*' for some)
	@$(ONEFLOW) scripts/coverage.py $(ARGS)

zoo: setup ## load every model of the zoo into its flowvision twin and compare, for docs/zoo.md (hours; ARGS='vit_*')
	@$(ONEFLOW) scripts/zoo.py $(ARGS)

port-coverage: setup ## port torchvision and timm, and compare every model with its original (hours; ARGS='torchvision/*')
	@$(ONEFLOW) scripts/port_coverage.py $(ARGS)

port-scripts: setup ## port the training scripts of the tests, and compare their losses step by step (minutes; ARGS='dcgan')
	@$(ONEFLOW) scripts/port_scripts.py $(ARGS)

golden: setup ## write anew the source that tests keep of well-known models and of the cases; read the difference
	TORCH2FLOW_GOLDEN=1 $(ONEFLOW) -m pytest tests/models/test_models.py tests/models/codegen/test_cases.py -k reads $(ARGS)

style: setup ## compare the source of well-known models with their authors', for docs/models.md (ARGS='swin_t --show')
	@$(ONEFLOW) scripts/style.py $(ARGS)

operators: setup ## try every operator rule on PyTorch's samples, for docs/operators.md (minutes)
	@$(ONEFLOW) scripts/operators.py $(ARGS)

api: setup ## compare PyTorch's names with OneFlow's by name, arguments and runs, for docs/api.md (ARGS='--names' for some)
	@$(ONEFLOW) scripts/api.py $(ARGS)

docs: setup ## write anew what the documentation shows of real runs and of the code: comparison, tables, sessions
	@$(ONEFLOW) scripts/compare_flow_load.py --write
	@$(ONEFLOW) scripts/docs_tables.py --write
	@$(ONEFLOW) scripts/docs_sessions.py --write

site: setup ## build the documentation as a site, into build/site
	@$(dir $(ONEFLOW))mkdocs build --strict

translations: setup ## add new messages to the catalog of the Chinese command line, and compile it
	@$(ONEFLOW) scripts/translations.py

dist: ## build the wheel and the source distribution, with tests and docs, into dist/
	@rm -rf dist build/packager
	@$(ONEFLOW) -m venv build/packager
	@build/packager/bin/python -m pip install -q build
	@build/packager/bin/python -m build -o dist .

lint: setup ## check style, format, and the direction of imports between the wings
	$(ONEFLOW) -I -m ruff check .
	$(ONEFLOW) -I -m ruff format --check .
	@mkdir -p build
	$(dir $(ONEFLOW))lint-imports --cache-dir build/import-linter

types: setup ## check types
	$(ONEFLOW) -I -m mypy

clean: ## remove caches and outputs
	rm -rf build dist demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## remove the environments too
	rm -rf .venv .venv-torch .venv-core .venv-misfits .venv-uv
