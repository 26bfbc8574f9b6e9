# Forecourt's one front door. `make help` explains every target.
PYTHON ?=
PY := .venv/bin/python
ARGS ?=
BOARD ?=
PORT ?=
# Compiled Python lies under build/ and is kept, whatever the surroundings say of it: every test
# that starts a program of ours would compile all that it imports anew.
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup run test test-long test-board powercut starve check bench build flash provision ledger logs shell probe doctor soak fuzz lock clean

help: ## explain every target (this list)
	@echo 'make <target>; ARGS="..." is handed on to run, test, bench, soak, fuzz, flash and doctor.'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-13s %s\n", $$1, $$2}'

setup: ## fetch what is needed into .venv and build/ (no root, first time about a minute, then nothing)
	@PYTHON="$(PYTHON)" sh hostsim/setup/setup.sh

build: setup ## compile the firmware: build/mpy/, build/rom.img (ROMFS), build/manifest.json; BOARD=x: for one board
	@$(PY) -m $(if $(BOARD),hostsim.setup.boards $(BOARD),hostsim.setup.compile)

run: build ## the charger and the world around it; prints the address of the charger's front; Ctrl-C ends all
	@$(PY) -m hostsim run $(ARGS)

test: build ## all tests: CPython, both MicroPython builds, end to end
	@$(PY) -m pytest -n 8 --dist worksteal $(ARGS)

test-long: build ## the tests marked long as well: every byte of a power cut, long seeds
	@$(PY) -m pytest -m "not board" $(ARGS)

test-board: build ## the tests on an emulated board: real image, real mpremote, sessions, power cuts
	@$(PY) -m hostsim.emulator.suite $(ARGS)

powercut: build ## the whole power-cut campaign: every byte of every flash write, every action, again during recovery
	@$(PY) -m hostsim powercut --every-byte --double $(ARGS)
	@$(PY) -m hostsim powercut --keeps --sample 200 --double

starve: build ## memory runs out at every line of the firmware that a session runs (hours; ARGS="--sample N")
	@$(PY) -m hostsim starve $(ARGS)

check: build ## ruff, types of both halves, mpy-cross over firmware and board, house rules, spelling
	@$(PY) -m hostsim.setup.check

bench: build ## measure: polls per second, tap to power, loop stalls, heap, .mpy size, time to ready
	@$(PY) -m hostsim bench $(ARGS)

soak: build ## 200 random sessions under random faults on eight chargers, ends with the three books
	@$(PY) -m hostsim soak $(ARGS)

fuzz: setup ## a million generated inputs into every parser of the firmware (about twenty minutes)
	@$(PY) -m hostsim fuzz $(ARGS)

flash: setup ## put this version on a board: BOARD=x [PORT=y]; needs the service jumper, then examines it
	@$(PY) -m hostsim.technician.flash "$(BOARD)" "$(PORT)" $(ARGS)

provision: setup ## a charger's keys and files: BOARD=x PORT=y ID=z CONFIG=f [TARIFF=f CERT=f CA=f WIFI=f]
	@$(PY) -m hostsim.technician.provision "$(BOARD)" "$(PORT)" "$(ID)" $(foreach f,CONFIG TARIFF CERT CA WIFI COMMAND_KEY,$(if $($(f)),--$(f) "$($(f))")) $(ARGS)

ledger: setup ## read a charger's ledger out, verify and show it: BOARD=x PORT=y
	@$(PY) -m hostsim.technician.ledger "$(BOARD)" "$(PORT)" $(ARGS)

logs: setup ## what a charger says while it runs, for the jumpered technician: BOARD=x PORT=y
	@$(PY) -m hostsim.technician.logs "$(BOARD)" "$(PORT)" $(ARGS)

shell: setup ## MicroPython's prompt on a charger, for the jumpered technician: PORT=y
	@$(PY) -m mpremote connect "$(or $(PORT),auto)" $(or $(ARGS),repl)

probe: setup ## which meter is on a jumpered charger's line, and how good the line is: PORT=y
	@$(PY) -m hostsim.technician.probe "$(PORT)" $(ARGS)

doctor: setup ## examine a jumpered charger and its wiring, a row each: PORT=y
	@$(PY) -m hostsim.technician.doctor "$(PORT)" $(ARGS)

lock: setup ## write the lock files anew from pyproject.toml (needs the network)
	@UPGRADE="$(UPGRADE)" sh hostsim/setup/lock.sh

clean: ## remove .venv and build/ (make setup brings them back)
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find boot.py main.py firmware board hostsim tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
