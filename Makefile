# The targets of everyday work. `make` alone lists them.

PYTHON ?= python3
ADDRESS ?= 127.0.0.1:8000
ARGS ?=
PROCESSES ?= 2
BIN := .venv/bin
MANAGE := $(BIN)/python manage.py
GUNICORN := $(BIN)/gunicorn --config python:moeen.gunicorn moeen.wsgi

# One module's tests stay in one process, which has a server of its own.
PYTEST := $(BIN)/python -m pytest -n $(PROCESSES) --dist loadgroup

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: docs help migrate run serve demo quick test test-slow test-between coverage test-migrations test-kill test-kill-backfill test-backup test-archive test-forgery test-strange test-audit test-import test-demo bench-backup check messages stop clean lock bench-migrate bench-live bench-backfill runtime development bench-validate bench-rls bench-audit bench-import test-mutation test-pages test-stranger release test-fleet test-ha bench-fleet test-browser pictures test-hostile bench-admin

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*##  *\(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-15s %s\n' "$$name" "$$text"; done

migrate: runtime  ## build the environment, start the database, bring it to the newest schema
	@$(MANAGE) migrate $(ARGS)

run: runtime  ## serve the admin on this machine (ADDRESS=host:port)
	@echo "Admin: http://$(ADDRESS)/admin/  (stop with Ctrl-C)"
	@$(MANAGE) runserver $(ADDRESS) $(ARGS)

serve: runtime  ## serve as in production: gunicorn, hashed style sheets, DEBUG off (ADDRESS, ARGS="--workers 3")
	@$(MANAGE) collectstatic --noinput --verbosity 0
	@DEBUG=false exec $(GUNICORN) --bind $(ADDRESS) $(ARGS)

# On an embedded server of its own, which stops with it; what .env says counts for nothing here. DEMO: its folder.
DEMO ?= $(CURDIR)/.moeen/demo
$(foreach name,$(shell sed -n 's/^\([A-Z_]*\)=.*/\1/p' .env.example 2>/dev/null),$(eval demo: export $(name) =))
demo: export EMBEDDED_DATA_DIR = $(DEMO)/postgres
demo: export BACKUP_DIR = $(DEMO)/backups
demo: export LOG_DIR = $(DEMO)/logs
demo: export ARCHIVE = false
demo: export DEBUG = false
demo: runtime  ## serve a made-up clinic, with a login for each role, on this machine (ADDRESS, DEMO=folder, ARGS)
	@$(MANAGE) migrate
	@$(MANAGE) collectstatic --noinput --verbosity 0
	@$(MANAGE) seed_demo $(ARGS)
	@echo "Demo: http://$(ADDRESS)/admin/  (stop with Ctrl-C)"
	@$(GUNICORN) --bind $(ADDRESS) & \
		trap "kill $$!; stopped=yes" INT TERM; wait $$!; status=$$?; \
		[ -z "$$stopped" ] || { wait $$!; status=0; }; $(MANAGE) embedded_server stop; exit $$status

test: development  ## run the tests on the newest PostgreSQL here, but for the slow ones (ARGS="-k name" for some)
	@$(PYTEST) $(ARGS)

test-slow: development  ## run what that leaves out: the slow tests, and all tests on the oldest PostgreSQL here
	@$(PYTEST) -m "slow and not (long or between)" $(ARGS)

test-between: development  ## run the same tests on the versions between the newest and the oldest
	@$(PYTEST) -m "between and not long" $(ARGS)

# On the newest PostgreSQL alone. tests/quick.txt names them: the most telling tests of each area.
quick: development  ## run the most telling tests, in about two minutes
	@$(PYTEST) -k "not supabase" @tests/quick.txt $(ARGS)

coverage: development  ## run both and list the lines of moeen/db that no test has reached: at most 5 % of them
	@mkdir -p .pytest_cache/coverage
	@$(PYTEST) -m "not (long or between)" --cov --cov-report=term-missing $(ARGS)

test-migrations: development  ## each migration back and forth twice, and begun again after a stop before its record
	@$(PYTEST) -m long tests/test_migrations.py $(ARGS)

test-kill-backfill: development  ## kill the backfill at fifty random moments, and resume it each time
	@$(BIN)/python -m pytest -m long tests/test_backfill_kills.py tests/test_public_ids.py $(ARGS)

test-kill: development  ## kill migrate at a hundred random moments, each time it must end the same
	@$(BIN)/python -m pytest -m long tests/test_kill.py $(ARGS)

test-backup: development  ## a million rows there and back on every version, eighty kills, flat memory
	@$(BIN)/python -m pytest -m long tests/test_backup_long.py $(ARGS)

test-archive: development  ## kill a server and its archivist twenty times under eight writers; nothing promised is lost
	@$(BIN)/python -m pytest -m long tests/test_archive_long.py $(ARGS)

test-forgery: development  ## forge backups in every way; each must be refused, and nothing of it run
	@$(BIN)/python -m pytest -m "long or not long" tests/test_forgery.py $(ARGS)

test-strange: development  ## adopt 300 databases with objects of any kind in them, and every known case on each server; a rehearsal of a million rows
	@$(PYTEST) -m long tests/test_strange_grammar.py tests/test_strange.py tests/test_rehearsal.py $(ARGS)

test-audit: development  ## attack a sealed audit log in two hundred ways, and seal under eight writers for a minute
	@$(BIN)/python -m pytest -m long tests/test_seals.py $(ARGS)

test-import: development  ## kill imports at fifty random moments (KILLS=10 for fewer), and run again at size
	@IMPORT_EXAMPLES=100 $(BIN)/python -m pytest -s -m "long or not long" tests/test_import_long.py tests/test_import_values.py $(ARGS)

test-pages: development  ## run every block of commands in README.md and docs/ as it is written, each page on a clinic of its own
	@$(BIN)/python -m pytest -s -m "long or not long" tests/test_pages.py $(ARGS)

test-stranger: development  ## somebody with nothing but the text: the first commands of README, then the guide, on Python 3.11, 3.12 and 3.13 (ARGS="-k 3.11")
	@$(BIN)/python -m pytest -s -m long tests/test_newcomer.py $(ARGS)

test-fleet: development  ## two hundred clinics, some in every kind of trouble, and a run killed twenty times (CLINICS=20 KILLS=4 for less)
	@$(BIN)/python -m pytest -s -m long tests/test_fleet_long.py $(ARGS)

test-ha: development  ## kill a primary under Patroni while eight write, a migrate and a backfill run; kill a standby while eight read (SECONDS=20)
	@$(BIN)/python -m pytest -s -m long tests/test_failover_long.py $(ARGS)

test-demo: development  ## make demo from nothing: every role signs in over HTTP, within a minute and a half
	@$(BIN)/python -m pytest -s -m long tests/test_demo.py $(ARGS)

test-browser: development  ## the admin in Debian's Chromium, over a demo clinic: what people do there (PICTURES=folder)
	@PICTURES=$(PICTURES) $(BIN)/python -m pytest -m long tests/test_browser.py $(ARGS)

pictures: development  ## the pictures of the pages about the admin (docs/pictures), made anew by Debian's Chromium
	@PICTURES=docs/pictures $(BIN)/python -m pytest -m long tests/test_browser.py -k docs__pictures $(ARGS)

test-hostile: development  ## two thousand made-up filters, ids, JSON texts and forms: no page of the admin fails (SEED=2, HOSTILE=500)
	@SEED=$(SEED) HOSTILE=$(HOSTILE) $(BIN)/python -m pytest -s -m long tests/test_hostile_input.py $(ARGS)

check: development  ## lint, formatting, types, missing migrations, Django's own checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) check --fail-level WARNING
	$(MANAGE) lint_migrations
	$(BIN)/python -m tests.access.lint

messages: runtime  ## compile the Arabic texts (needs msgfmt, of the package gettext)
	msgfmt --check-format --check-domain --output-file=sysadmin/locale/ar/LC_MESSAGES/django.mo sysadmin/locale/ar/LC_MESSAGES/django.po

stop:  ## stop the embedded database; it otherwise runs until the machine stops
	@if [ -x $(BIN)/python ]; then $(MANAGE) embedded_server stop; else \
		echo "There is no .venv here to stop a server with; \`make migrate\` builds it."; fi

clean: stop  ## remove the environment and caches; the data in .moeen stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

bench-migrate: development  ## measure migrate against plain Django's, side by side
	@$(BIN)/python -m tests.bench.bench_migrate $(ARGS)

bench-backup: development  ## measure backup, verification and archiving against PostgreSQL's bare tools
	@$(BIN)/python -m tests.bench.bench_backup $(ARGS)

bench-backfill: development  ## measure the backfill of public ids against a bare UPDATE and a loop
	@$(BIN)/python -m tests.bench.bench_backfill $(ARGS)

bench-live: development  ## adopt a million patients under load: ours, plain Django, the older scripts
	@$(BIN)/python -m tests.bench.bench_live $(ARGS)

bench-admin: development  ## measure every page of the admin at a million rows
	@$(BIN)/python -m tests.bench.bench_admin $(ARGS)

bench-rls: development  ## measure what row security costs at a million appointments
	@$(BIN)/python -m tests.bench.bench_rls $(ARGS)

bench-audit: development  ## measure what the audit trail costs writers and a bulk update
	@$(BIN)/python -m tests.bench.bench_audit $(ARGS)

bench-import: development  ## measure an import against a bare COPY of the same rows and the same indexes
	@$(BIN)/python -m tests.bench.bench_import $(ARGS)

bench-fleet: development  ## measure migrate over two hundred clinics with nothing to do against a loop of single commands
	@$(BIN)/python -m tests.bench.bench_fleet $(ARGS)

test-mutation: development  ## break every policy, grant, function and role in turn; the proof must notice each
	@$(BIN)/python -m tests.access.mutations $(ARGS)

bench-validate: development  ## measure validate_schema against pg_dump --schema-only
	@$(BIN)/python -m tests.bench.bench_validate $(ARGS)

docs: development  ## write docs/commands.md and docs/configuration.md anew
	@$(BIN)/python -m sysadmin.management.reference

release: development  ## keep the version that pyproject.toml states: its migrations' checksums and its database, in tests/releases
	@$(BIN)/python -m tests.releases && $(BIN)/python -m pytest tests/test_releases.py

lock:  ## pin requirements*.in anew, with hashes and without naming an index
	@[ -x .moeen/lock/bin/pip-compile ] || { $(PYTHON) -m venv --clear .moeen/lock && \
		.moeen/lock/bin/python -m pip install -qq --disable-pip-version-check "pip-tools==7.*"; }
	@for name in requirements requirements-dev; do \
		.moeen/lock/bin/pip-compile --quiet --upgrade --strip-extras --allow-unsafe --generate-hashes --no-header \
			--no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
			--output-file $$name.txt $$name.in || exit 1; \
	done

# The environment. What is installed stands in .venv as a copy of the file it was installed from: a changed file
# installs anew, a fresh checkout of the same file does not. The file names everything, so pip is to look for nothing
# beside it (--no-deps): it took a newer release of `coverage` than the one pinned, and asked for its hash. An
# interrupted venv or pip leaves .venv/unfinished, and whatever is half built is then built again from nothing. One
# make builds at a time: the lock is held by descriptor 9 of this shell and ends with it, however it ends. Python
# takes it, since macOS has no flock program.
# Worktrees that share a .venv by a symbolic link share the lock beside it.
define environment
	@set -e; \
	is_ready() { \
		[ ! -e .venv/unfinished ] && $(BIN)/python -c 'import pip' >/dev/null 2>&1 || return 1; \
		for file in $(1); do cmp -s "$$file" ".venv/$$file" || return 1; done; \
	}; \
	lock() { \
		for python in "$(PYTHON)" $(BIN)/python; do \
			"$$python" -c "import fcntl; fcntl.flock(9, fcntl.LOCK_EX | $$1)" 2>/dev/null && return 0; \
		done; \
		return 1; \
	}; \
	if is_ready; then exit 0; fi; \
	command -v "$(PYTHON)" >/dev/null || [ -x $(BIN)/python ] || { echo "$(PYTHON) was not found. Install Python 3.11 or newer, or say: make PYTHON=/path/to/python3" >&2; exit 2; }; \
	exec 9>>"$$(readlink .venv || echo .venv).lock"; \
	lock fcntl.LOCK_NB || { \
		echo "Another make builds .venv; waiting for it ..." >&2; \
		lock 0 || { echo "The lock beside .venv could not be taken. Is this folder on a file system without locks?" >&2; exit 1; }; \
	}; \
	if [ -e .venv/unfinished ] || ! $(BIN)/python -c 'import pip' >/dev/null 2>&1; then \
		command -v "$(PYTHON)" >/dev/null || { echo "$(PYTHON) was not found. Install Python 3.11 or newer, or say: make PYTHON=/path/to/python3" >&2; exit 2; }; \
		"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$("$(PYTHON)" --version) is too old: Python 3.11 or newer is needed. Say: make PYTHON=/path/to/python3.11" >&2; exit 2; }; \
		echo "Creating .venv ..." >&2; \
		rm -rf .venv; mkdir .venv; touch .venv/unfinished; \
		"$(PYTHON)" -m venv .venv || { echo "The environment could not be created. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
		rm .venv/unfinished; \
	fi; \
	for file in $(1); do \
		cmp -s "$$file" ".venv/$$file" && continue; \
		echo "Installing $$file ..." >&2; \
		touch .venv/unfinished; \
		$(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --no-deps --require-hashes -r "$$file"; \
		missing="$$($(BIN)/python -m pip check)" || { echo "$$missing" >&2; exit 1; }; \
		cp "$$file" ".venv/$$file"; \
		rm .venv/unfinished; \
	done
endef

runtime:
	$(call environment,requirements.txt)

development:
	$(call environment,requirements.txt requirements-dev.txt)
