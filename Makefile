# Two commands for a fresh machine; the README shows the plain commands that they wrap.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: repro test lint deps clean-work

repro: .venv/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro
	@echo "Done. Open metrics/report.html in a browser; dvc metrics show prints the figures."

test: .venv/installed
	$(BIN)/pytest -n 2

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

# Writes the import closure of every stage script into dvc.yaml.
deps: .venv/installed
	$(BIN)/python -m tests.closure

# Resumable state of killed runs, but for the judge's verdicts, which cost money.
clean-work:
	find .work -mindepth 1 -maxdepth 1 ! -name 'verdicts.sqlite*' -exec rm -rf {} +

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@
