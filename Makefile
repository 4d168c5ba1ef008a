# make run   the gateway on an embedded default, live in this terminal
# make test  every test
# The rest: venv (set-up alone), bench, soak, conformance, lint, lock; install, uninstall, deb. See README.md.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
HOURS  ?= 1
# Processes that share the tests, a file each; a test that measures decides nothing by its time.
JOBS   ?= 2

.PHONY: run test venv venv-test bench soak conformance lint lock clean install uninstall deb

run: venv
	@$(BIN)/python -m agent.cli.run $(ARGS)

test: venv-test
	@SCL_CORPUS="$(SCL_CORPUS)" $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

venv: $(VENV)/.installed
venv-test: $(VENV)/.installed-test

# Only the locked versions are installed; a changed lock or project file installs again.
$(VENV)/.installed: requirements.lock requirements-secc.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps -r requirements-secc.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed requirements-test.lock
	@echo "installing the locked test dependencies into $(VENV)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements-test.lock
	@touch $@

bench: venv-test
	@$(BIN)/python -m tests.bench $(ARGS)

soak: venv-test
	@SCL_CORPUS="$(SCL_CORPUS)" HOURS=$(HOURS) $(BIN)/python -m pytest -m soak --timeout=0 $(ARGS)

conformance: venv-test
	@CONFORMANCE_REPORT=docs/conformance.md $(BIN)/python -m pytest tests/ied/conformance $(ARGS)

lint: venv-test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

# As root: /opt/v2g, units, users, /etc/v2g. An upgrade keeps the configuration.
install: venv
	@packaging/install.sh

uninstall:
	@packaging/uninstall.sh

deb: venv
	@packaging/deb.sh

# Run by the maintainers when pyproject.toml changes: resolves anew and pins what was resolved.
lock:
	@$(PYTHON) tests/lock.py

clean:
	rm -rf build dist $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
