# Lethe: everything a person types, from a bare Debian 12 machine with a Swift toolchain to a report.
# `make help` lists the targets. There is one build configuration, release, and tests share its objects:
# that is why testable imports are off here (they would rebuild every room a second time).

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PREFIX    ?= /usr/local
SWIFT     ?= swift
SWIFT_MIN := 6.2
BUILD     := $(SWIFT) build -c release --explicit-target-dependency-import-check error --product lethe
TEST      := $(SWIFT) test -c release --disable-xctest --disable-testable-imports
LETHE     := .build/release/lethe

# Where the toolchain has them, lethe is linked with Swift's static libraries, which makes it start faster; see
# Package.swift. Only that one link depends on it.
STATIC_LIBRARIES   := $(dir $(realpath $(shell command -v $(SWIFT))))../lib/swift_static/linux/libFoundation.a
export LETHE_STATIC := $(if $(wildcard $(STATIC_LIBRARIES)),1,0)

# Each system library by the name that pkg-config knows and the Debian package that brings it.
LIBRARIES := openblas:libopenblas-dev libgit2:libgit2-dev libpng:libpng-dev libcrypto:libssl-dev zlib:zlib1g-dev sqlite3:libsqlite3-dev

.DEFAULT_GOAL := help
.PHONY: help deps swift-check build test demo techniques robustness bench bench-techniques bench-attacks install uninstall clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install the system libraries that are missing (apt; asks sudo unless root)
	@missing=(); \
	command -v pkg-config >/dev/null || missing+=(pkg-config); \
	for entry in $(LIBRARIES); do \
	  pkg-config --exists "$${entry%%:*}" 2>/dev/null || missing+=("$${entry##*:}"); \
	done; \
	if [ $${#missing[@]} -eq 0 ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "make: missing system libraries (Debian names): $${missing[*]}; install them with this system's package manager." >&2; exit 1; \
	fi; \
	as_root=(); \
	if [ "$$(id -u)" -ne 0 ]; then \
	  command -v sudo >/dev/null || { echo "make: not root and no sudo; ask an administrator for: apt-get install $${missing[*]}" >&2; exit 1; }; \
	  as_root=(sudo); \
	fi; \
	echo "installing $${missing[*]}"; \
	"$${as_root[@]}" apt-get update -qq; \
	"$${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}"

swift-check:
	@if ! command -v $(SWIFT) >/dev/null; then \
	  echo "make: no Swift toolchain on the path; Lethe needs Swift $(SWIFT_MIN) or newer (https://www.swift.org/install/linux/)." >&2; exit 1; \
	fi; \
	found=$$($(SWIFT) --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+\.[0-9]+(\.[0-9]+)?).*/\1/p' | head -n 1); \
	if [ "$$(printf '%s\n' $(SWIFT_MIN) "$${found:-0}" | sort -V | head -n 1)" != "$(SWIFT_MIN)" ]; then \
	  echo "make: found Swift $${found:-of an unknown version}; Lethe needs $(SWIFT_MIN) or newer (https://www.swift.org/install/linux/)." >&2; exit 1; \
	fi

build: deps swift-check ## build lethe in release mode
	$(BUILD)

test: deps swift-check ## run the test suite (release mode, the same objects as build)
	$(TEST)

demo: build ## run the base model and SSD on it, then print the table and where its figures are
	$(LETHE) run experiments/base.json experiments/ssd.json
	@echo
	$(LETHE) report experiments/tables/quickstart.json

techniques: build ## run every technique on the base model and write reports/techniques.md; about an hour, and goes on if stopped
	$(LETHE) run experiments/techniques/*.json experiments/cad_modules.json
	for table in techniques techniques_style techniques_mark techniques_modules techniques_costs; do \
	  echo; $(LETHE) report experiments/tables/$$table.json; \
	done

# Techniques under attack, with an ESD that erases as much as P-ESD. $(1) is the concept, $(2) the end of its experiments'
# names.
ATTACKED := base esd p_esd cad_erase ssd uce surgical saeuron
define ATTACK
$(LETHE) run $(ATTACKED:%=experiments/techniques/%$(2).json) --overlay experiments/overlays/robustness_$(1).json
$(LETHE) run experiments/techniques/esd$(2).json --overlay experiments/overlays/robustness_$(1).json \
  --overlay experiments/overlays/esd_stronger.json
endef

robustness: build ## attack the base model and seven techniques on two concepts and write reports/robustness.md; about two hours, and goes on if stopped
	$(call ATTACK,star,)
	$(LETHE) run experiments/techniques/esd.json experiments/techniques/p_esd.json \
	  --overlay experiments/overlays/robustness_star.json --overlay experiments/overlays/second_edit.json
	$(call ATTACK,mark,_mark)
	for table in robustness robustness_mark; do \
	  echo; $(LETHE) report experiments/tables/$$table.json; \
	done

bench: build ## time this machine beside PyTorch where Python has it, on the small model and at SD's size (SD=folder)
	SD="$(SD)" benchmarks/run $(LETHE)

bench-techniques: build ## time ESD, P-ESD and CAD-Erase beside plain PyTorch where Python has it
	benchmarks/techniques $(LETHE)

bench-attacks: build ## time the inner loops of attacks beside plain PyTorch where Python has it
	benchmarks/attacks $(LETHE)

install: build ## put lethe and the model it ships with under PREFIX (default /usr/local)
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/share/lethe/models"
	install -m 755 $(LETHE) "$(DESTDIR)$(PREFIX)/bin/lethe"
	if [ -d store/models/shapes ]; then cp -R store/models/shapes "$(DESTDIR)$(PREFIX)/share/lethe/models/"; fi

uninstall: ## take away what install put under PREFIX
	rm -f "$(DESTDIR)$(PREFIX)/bin/lethe"
	rm -rf "$(DESTDIR)$(PREFIX)/share/lethe"

clean: ## remove what the build made (never the store or the reports)
	rm -rf .build
