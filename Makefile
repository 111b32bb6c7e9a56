# Two commands do everything: `make demo` and `make test`. Both set up first.

PYTHON ?= python3
BIN := .venv/bin
PACKAGES := gateway drivers detectors alerts simulators
# Real peers that the tests run against; installed where this runs as root, skipped (and said) elsewhere.
SERVERS := mosquitto mosquitto-clients influxdb victoria-metrics prometheus libmodbus-dev mbpoll socat strace chromium fonts-noto-cjk poppler-data poppler-utils zbar-tools gcc libc6-dev

.PHONY: setup demo test servers console check format docs bench bench-short soak lock clean

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	$(BIN)/hazgate demo

servers:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  missing=$$(dpkg-query -W -f '$${db:Status-Status} $${Package}\n' $(SERVERS) 2>/dev/null | grep -c '^installed ' || true); \
	  if [ "$$missing" != "$(words $(SERVERS))" ]; then \
	    apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SERVERS) >/dev/null; \
	  fi; \
	else echo "not root: tests that need a server which is not installed will skip and say so"; fi

test: setup servers console
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not long" $(ARGS)

console: setup
	$(BIN)/python -m gateway.console.build --check

check: setup console
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m docs.generate --check

format: setup
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

docs: setup
	$(BIN)/python -m docs.generate

bench: setup
	$(BIN)/python -m benchmarks

bench-short: setup
	$(BIN)/python -m benchmarks --short

soak: setup servers
	$(BIN)/python -m pytest -m long --timeout 3600 $(ARGS)

lock: setup
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --all-extras --generate-hashes --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
