//! Integration tests, most of them with the real program and a real redis-server. One file per capability.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by panicking, prints what it measured, and nothing outside calls it"
)]

mod active_job;
mod architecture;
mod command_line;
mod commands;
mod containment;
mod containment_cli;
mod convert;
mod costs;
mod delayed;
mod delayed_commands;
mod deployments;
mod dialect;
mod docker;
mod docs;
mod dynamic;
mod dynamic_history;
mod explain;
mod faults;
mod harness;
mod history;
mod journal;
mod leadership;
mod migrating;
mod next;
mod operating;
mod pile_up;
mod published;
mod quarantine_commands;
mod records;
mod recurring;
mod resque_web;
mod ruby_json;
mod schedulers;
mod simulation;
mod soak;
mod store;
mod two_engines;
mod wire;
mod workers;
mod yaml;
mod zones;
