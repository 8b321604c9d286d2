# Two commands are enough: `make demo` and `make test`. Each sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help demo test soak chaos check bench notebooks lab docs lock setup tools clean
.DELETE_ON_ERROR:

VENV  := .venv
PY    := $(VENV)/bin/python
STAMP := $(VENV)/.ready

# One version of a package for every system and Python; the files name no address, only what was hashed.
# A private index or local wheels set up on this machine stay out: --no-config and no UV_* index variable.
COMPILE := env -u UV_INDEX -u UV_INDEX_URL -u UV_DEFAULT_INDEX -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS \
    $(VENV)/bin/uv pip compile --quiet --no-config --universal --fork-strategy fewest --python-version 3.11 \
    --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP) ## One signal function from tape to backtest, report and paper session
	@$(PY) -m research demo

test: $(STAMP) ## Run all tests
	@$(PY) -m pytest $(ARGS)

soak: $(STAMP) ## Run the long tests: a day of stream with every fault, and more
	@$(PY) -m pytest -m long --timeout 1800 $(ARGS)

chaos: $(STAMP) ## Run 100,000 seeded schedules against the live core, hunt every planted bug, kill 1,200 real processes
	@$(PY) tests/live/chaos/run.py --schedules 100000 --mutants 400 --coverage --progress $(ARGS)
	@$(PY) tests/live/kill/run.py --kills 1200

check: $(STAMP) ## Lint, formatting, types and the direction of imports
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports

bench: $(STAMP) ## Measure against the budgets; a table and a JSON file
	@$(PY) tests/benchmarks/run.py $(ARGS)

notebooks: $(STAMP) ## Execute every notebook; fail on the first error
	@$(PY) tests/notebooks/run.py $(ARGS)

lab: $(STAMP) ## Open the notebooks in JupyterLab
	@$(VENV)/bin/jupytext --quiet --to ipynb --update notebooks/[0-9]*.py
	@$(VENV)/bin/jupyter lab --notebook-dir notebooks $(ARGS)

docs: $(STAMP) ## Write docs/commands.md, and the reference of every module to out/docs
	@$(PY) docs/build.py

lock: $(STAMP) ## Bring requirements/*.txt in step with pyproject.toml (ARGS=--upgrade for new versions)
	@$(COMPILE) --all-extras -o requirements/all.txt $(ARGS) pyproject.toml
	@$(COMPILE) -c requirements/all.txt --extra brokers --extra server -o requirements/live.txt pyproject.toml
	@echo uv | $(COMPILE) -c requirements/all.txt -o requirements/uv.txt -

clean: ## Remove the environment and every cache; keep stored data and reports
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(STAMP)

# program=package: what tests drive beside Python; each skips and says so where its program is absent
TOOLS := chromium=chromium redis-server=redis-server tmux=tmux promtool=prometheus docker-compose=docker-compose \
    systemd-analyze=systemd

tools: ## Install what tests of pages, terminals, alert rules and units drive (Debian, as root)
	@missing=; for tool in $(TOOLS); do command -v $${tool%=*} >/dev/null || missing="$$missing $${tool#*=}"; done; \
	    [ -z "$$missing" ] || (apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing)

# The stamp is as old as the environment: a new lock makes a new environment.
$(STAMP): requirements/all.txt requirements/uv.txt requirements/setup.sh
	@VENV=$(VENV) sh requirements/setup.sh
	@touch $@
