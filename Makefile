# Commands for CI and for contributors. CONTRIBUTING.md lists the commands behind them.
.DEFAULT_GOAL := help
.PHONY: help run test interop bench fuzz soak failover redis

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: redis ## Build, start a private Redis and the demo schedule
	cargo run --locked --profile trial -- --dev schedules/demo.toml

test: redis ## Check formatting and lints, run all tests that need only Rust and redis-server
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo clippy --lib --no-default-features --locked -- -D warnings
	cargo test --locked -- --test-threads=4
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --locked --quiet
	@echo "$$(cargo test --locked --quiet --test integration -- --ignored --list 2>/dev/null | grep -c ': test$$')" \
	  "tests were ignored: they need ruby, npm or pip. 'make interop' installs these and runs the tests."

interop: redis ## Install Ruby, Node and Python, and run the tests that need them
	@tests/install.sh ruby ruby-activejob npm python3-venv
	cargo test --locked --test integration -- --ignored --test-threads=2

bench: redis ## Measure the whole program on a private Redis, and the next fire beside cron and croner
	cargo bench --locked --quiet

MINUTES ?= 10
soak: redis ## Kill schedulers and cut their connections for MINUTES=10, and count what is lost or doubled
	SOAK_SECONDS=$$(($(MINUTES) * 60)) SOAK_JOBS=1750 \
	  cargo test --release --locked --test integration soak::soak -- --exact --nocapture

failover: redis ## Kill the leader of three every 20 s for 3 minutes, with the default lease
	FAILOVER_SECONDS=180 FAILOVER_KILL_EACH=20 FAILOVER_LEASE=15 \
	  cargo test --release --locked --test integration killed_again_and_again -- --nocapture

seconds ?= 300
fuzz: ## Read random texts as cron expressions, schedules, delayed jobs and Redis URLs, seconds=300 each
	cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
	cargo fuzz run --sanitizer none cron -- -dict=fuzz/cron.dict -max_len=256 -timeout=10 -max_total_time=$(seconds)
	cargo fuzz run --sanitizer none item -- -dict=fuzz/item.dict -max_len=2048 -timeout=10 -max_total_time=$(seconds)
	cargo fuzz run --sanitizer none url -- -dict=fuzz/url.dict -max_len=256 -timeout=10 -max_total_time=$(seconds)
	mkdir -p fuzz/corpus/gem
	cargo fuzz run --sanitizer none gem fuzz/corpus/gem tests/data/yaml -- -dict=fuzz/gem.dict -max_len=2048 -timeout=10 -max_total_time=$(seconds)

redis:
	@tests/install.sh redis-server
