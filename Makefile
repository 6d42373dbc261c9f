# What CI runs, and what a newcomer types; CONTRIBUTING.md lists the plain commands.
.DEFAULT_GOAL := help
.PHONY: help run test bench fuzz soak failover redis

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: redis ## Build, start a private Redis and the demo schedule
	cargo run --release -- --dev schedules/demo.toml

test: redis ## All that CI checks: formatting, lints, tests, doc tests
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo test --locked -- --test-threads=4
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --locked --quiet

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
fuzz: ## Read random texts as cron expressions, and as schedules of resque-scheduler, seconds=300 each
	cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
	cargo fuzz run --sanitizer none cron -- -dict=fuzz/cron.dict -max_len=256 -timeout=10 -max_total_time=$(seconds)
	mkdir -p fuzz/corpus/gem
	cargo fuzz run --sanitizer none gem fuzz/corpus/gem tests/data/yaml -- -dict=fuzz/gem.dict -max_len=2048 -timeout=10 -max_total_time=$(seconds)

# The one thing beside Rust that --dev and the tests need. RUNLEVEL=1: only the program is wanted,
# not a service on port 6379.
redis:
	@if command -v redis-server >/dev/null; then exit 0; fi; \
	as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	if command -v apt-get >/dev/null; then \
	  echo "There is no redis-server: installing it with apt-get"; \
	  $$as_root apt-get update -qq && \
	  $$as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server >/dev/null; \
	elif command -v brew >/dev/null; then \
	  echo "There is no redis-server: installing it with brew"; \
	  brew install --quiet redis; \
	else \
	  echo "There is no redis-server, and no apt-get or brew to install it: please install it"; exit 1; \
	fi
