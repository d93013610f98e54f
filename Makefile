# The commands to remember. Everything they need is installed into .venv; variables go before or after:
#   make run PORT=9000 DATA_DIR=/tmp/second
.PHONY: setup run test check bench chaos clean clean-databases
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3)

setup:
	@"$(PYTHON)" -I tools/set_up.py

run: setup
	@MODE=local exec .venv/bin/python manage.py run

test: setup
	@exec .venv/bin/python -m tools.run_tests

check: setup
	@exec .venv/bin/python -m tools.check

bench: setup
	@exec .venv/bin/python -m bench

chaos: setup
	@exec .venv/bin/python -m bench.chaos

# Leaves the data folder alone: it holds keys and conversations.
clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path "./.venv/*" -prune -exec rm -rf {} +

# The embedded databases of sites whose data folder was deleted: says which, and deletes them with YES=1.
clean-databases:
	@"$(PYTHON)" -m tools.clear_databases
