SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
# Processes that the tests run in.
JOBS ?= auto

DEV := .venv-dev/bin
PINS := requirements/serving.txt requirements/constraints.txt
SOURCES := .

.PHONY: help
help: ## Show this list
	@echo "Captcha Solving Service. Commands:"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12 | sed 's/^/  make /'
	@echo "Variables: PORT=$(PORT) PYTHON=$(PYTHON) JOBS=$(JOBS) (processes of the tests)"

.PHONY: run
run: .venv/.stamp ## Install what serving needs, start the service at PORT and solve a sample
	@.venv/bin/python bin/run.py --port "$(PORT)"

.PHONY: test
test: .venv-dev/.stamp packages ## Install what the checks need and run every check and every test
	@$(MAKE) --no-print-directory check pytest

.PHONY: check
check: .venv-dev/.stamp .venv-audit/.stamp ## Run the checks without the tests: lint, types, imports, Django, Dockerfile, advisories
	$(DEV)/ruff check $(SOURCES)
	$(DEV)/ruff format --check $(SOURCES)
	DEBUG=1 $(DEV)/mypy $(SOURCES)
	$(DEV)/lint-imports
	DEBUG=1 $(DEV)/python manage.py check --fail-level WARNING
	DEBUG=1 $(DEV)/python manage.py makemigrations --check --dry-run
	$(DEV)/pip check
	$(DEV)/hadolint Dockerfile
	.venv-audit/bin/python bin/audit.py .venv-dev/lib/python3*/site-packages

# The libraries' tests touch no database: they run once.
.PHONY: pytest
pytest: .venv-dev/.stamp ## Run the tests, on SQLite and then on PostgreSQL
	$(DEV)/python -m pytest -q -n $(JOBS)
	$(DEV)/python -m pytest -q -n $(JOBS) --db=postgresql -m "not library"

.PHONY: format
format: .venv-dev/.stamp ## Format the code and sort its imports
	$(DEV)/ruff check --fix $(SOURCES)
	$(DEV)/ruff format $(SOURCES)

.PHONY: packages
packages: fonts # What the tests need: PostgreSQL, a browser and the library that its driver is linked to, Valkey or Redis, Caddy, fonts
	@compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || bin/need-packages postgresql
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || bin/need-packages chromium
	@command -v valkey-server >/dev/null || command -v redis-server >/dev/null || bin/need-packages redis-server
	@command -v caddy >/dev/null || bin/need-packages caddy
	@bin/need-packages libatomic1

.PHONY: fonts
fonts:
	@bin/need-packages --known $$(cat ml/recognition/synthesis/fonts.txt)

.PHONY: training
training: .venv-training/.stamp fonts ## Make the environment that trains readers, and tell the service of it
	@touch .env
	@sed -i '/^TRAINING_PYTHON=/d' .env
	@echo "TRAINING_PYTHON=$(CURDIR)/.venv-training/bin/python" >> .env
	@echo "A service that runs must be restarted to know of it: it reads .env at its start."
	@echo "Train with: .venv-training/bin/python manage.py train TYPE --images DIR"

.PHONY: crawling
crawling: .venv/.stamp ## Add what crawling needs to the service's environment, for crawls begun in the admin
	@bin/make-venv "$(PYTHON)" .venv requirements/crawl.txt

.PHONY: circle
circle: .venv-dev/.stamp fonts ## On the practice site: crawl, label, train, promote, and fill in its forms over the API
	@$(DEV)/python bin/circle.py

.PHONY: audit
audit: .venv-dev/.stamp .venv-audit/.stamp ## Look for known vulnerabilities in what is pinned; fails where PyPI's advisories cannot be asked
	@.venv-audit/bin/python bin/audit.py --strict .venv-dev/lib/python3*/site-packages

.PHONY: clean
clean: ## Delete environments and caches; the database and trained models stay
	rm -rf .venv .venv-dev .venv-training .venv-audit staticfiles
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.stamp: $(PINS)
	@bin/make-venv "$(PYTHON)" .venv requirements/serving.txt

.venv-dev/.stamp: $(PINS) requirements/training.txt requirements/crawl.txt requirements/practice.txt requirements/worker.txt requirements/dev.txt requirements.txt
	@bin/make-venv "$(PYTHON)" .venv-dev requirements/dev.txt

# Apart from what it looks at.
.venv-audit/.stamp: Makefile
	@"$(PYTHON)" -m venv .venv-audit
	@.venv-audit/bin/pip install -q pip-audit==2.10.1
	@touch $@

.venv-training/.stamp: $(PINS) requirements/training.txt
	@bin/make-venv "$(PYTHON)" .venv-training requirements/training.txt
