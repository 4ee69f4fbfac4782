# The two commands of README.md, and what they are made of. Everything a fresh Debian or Ubuntu machine needs beside a
# Rust toolchain, a C compiler and root is set up by `make setup`, which the others call.

SECONDS ?=
MINUTES ?= 30
MAJOR ?= 17
CARGO ?= cargo
EXTENT ?= quick
HISTORIES ?=
PLACEBO ?= 0
MAJORS ?= measured

.PHONY: demo test regressions setup build gate lint unit docs bench trials endurance evidence record fuzz deploy-test advisories clean

## A private PostgreSQL with a live workload, the collector beside it, a live summary. Ends with SECONDS=180, and fails then unless the
## regression was found, repaired and the repair confirmed.
demo: setup
	$(CARGO) build --quiet -p dbintel -p dbintel-testkit --bins
	"$${CARGO_TARGET_DIR:-target}/debug/demo" $(SECONDS)

## The whole gate: format, lints, dependencies, every test on real servers, deployment files.
test: setup
	bash scripts/gate.sh

## Regressions and their repairs on three real servers at once, time shortened: four minutes on a machine that does nothing else.
## MAJORS=others: the other three majors.
regressions: setup
	$(CARGO) build --quiet -p dbintel
	$(CARGO) test --quiet -p dbintel-tests --test regressions -- --nocapture \
	  $(if $(filter others,$(MAJORS)),regressions_of_the_other_majors,regressions_are_found_once)

setup:
	bash scripts/setup.sh

build:
	$(CARGO) build --profile dist -p dbintel

## Rewrites the documents that are generated from code.
docs:
	DBINTEL_UPDATE=1 $(CARGO) test --quiet -p dbintel-proto
	DBINTEL_UPDATE=1 $(CARGO) test --quiet -p dbintel-tests --test docs

## Micro-benches and the whole process on a private PostgreSQL; prints machine and table, writes target/bench.json.
bench: setup
	bash scripts/bench.sh

## Servers in trouble, what the guard did and what it cost; writes docs/trials.md.
trials: setup
	bash scripts/trials.sh

## The budget of database time over MINUTES on PostgreSQL MAJOR under load; writes docs/endurance.md.
endurance: setup
	bash scripts/endurance.sh $(MINUTES) $(MAJOR)

## False alarms and power of the rules, on simulated histories (EXTENT=full for figures to quote, EXTENT=rates for those without a flip) and placebo flips in
## recorded ones, or on those of the directory HISTORIES (docs/evidence-histories.md), there with PLACEBO flips that never
## were in each of them if it is not 0.
evidence:
	$(CARGO) run --quiet --release -p dbintel-simulation -- \
	  $(if $(HISTORIES),--histories $(HISTORIES) --placebo $(PLACEBO),$(EXTENT) --recorded simulation/recorded)

## Records the histories of simulation/recorded anew, on a private PostgreSQL 17: about 20 minutes.
record: setup
	$(CARGO) run --quiet -p dbintel-testkit --bin record-histories -- simulation/recorded

## Coverage-guided fuzzing of the parsers, see fuzz/README.md.
fuzz:
	bash scripts/fuzz.sh

## The deployment files alone; part of `make test`.
deploy-test: setup
	bash deploy/test.sh

## Known vulnerabilities of dependencies; needs the network.
advisories:
	$(CARGO) deny check advisories

clean:
	$(CARGO) clean
