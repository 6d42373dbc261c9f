//! The real program on a redis-server of its own: throughput, lateness, memory, each with the limit
//! beside it, as a table in Markdown and, with `--json`, as one line of JSON.
//!
//! Why no framework: what is measured are processes, and neither divan nor criterion prints a ratio.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a benchmark reads the clock, prints, and fails by panicking"
)]

mod bed;
mod firing;
mod moving;
mod resting;

use bed::median;
use moving::Shape;
use serde_json::{Value, json};

/// One line of the table.
struct Row {
    what: &'static str,
    measured: String,
    reach: &'static str,
    values: Value,
}

fn moved(what: &'static str, at_each: usize, reach: &'static str) -> Row {
    let shape = Shape {
        jobs: 100_000,
        at_each,
        bytes: 0,
    };
    let (ours, bare) = shape.measure(3);
    let ratio = ours / bare;
    Row {
        what,
        measured: format!("{ours:.0}/s, {ratio:.2} of the bare script's {bare:.0}/s"),
        reach,
        values: json!({"per_second": ours, "bare_per_second": bare, "ratio": ratio}),
    }
}

fn delayed() -> Row {
    let late = firing::delayed(5, 20);
    let (p50, p99, max) = (
        late[late.len() / 2],
        late[late.len() * 99 / 100],
        late[late.len() - 1],
    );
    Row {
        what: "lateness of delayed jobs, 5 due each second",
        measured: format!("p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms"),
        reach: "p50 ≤ 3 ms, p99 ≤ 10 ms",
        values: json!({"p50_ms": p50, "p99_ms": p99, "max_ms": max}),
    }
}

fn burst(what: &'static str, count: usize, reach: &'static str) -> Row {
    let (first, last) = firing::burst(count, 5).into_iter().unzip();
    let (first, last) = (median(first), median(last));
    Row {
        what,
        measured: format!("first {first:.1} ms, last {last:.1} ms"),
        reach,
        values: json!({"first_ms": first, "last_ms": last}),
    }
}

fn memory(what: &'static str, count: usize, reach: &'static str) -> Row {
    let (resident, peak) = resting::memory(count);
    Row {
        what,
        measured: format!("{resident:.1} MiB, peak {peak:.1} MiB"),
        reach,
        values: json!({"rss_mib": resident, "peak_mib": peak}),
    }
}

fn idle() -> Row {
    let (commands, reads, share) = resting::idle(20);
    let percent = share * 100.0;
    Row {
        what: "idle",
        measured: format!("{commands:.2} commands/s, {reads:.2} reads/s, {percent:.2}% of a core"),
        reach: "≤ 2/s, ≤ 1 round trip, ≤ 0.1%",
        values: json!({"commands_per_second": commands, "reads_per_second": reads, "cpu": share}),
    }
}

fn start() -> Row {
    let ready = median((0..5).map(|_| firing::start(1_000)).collect());
    Row {
        what: "start to leading, 1,000 entries loaded",
        measured: format!("{ready:.1} ms"),
        reach: "≤ 30 ms",
        values: json!({"ms": ready}),
    }
}

fn binary() -> Row {
    let size = resting::binary();
    Row {
        what: "release binary, stripped",
        measured: format!("{size:.1} MiB"),
        reach: "≤ 10 MB",
        values: json!({"mib": size}),
    }
}

/// The rows, each made when its turn comes.
const ROWS: [fn() -> Row; 12] = [
    || moved("delayed jobs moved, all at one timestamp", 100_000, "≥ 0.6"),
    || moved("ten at each timestamp", 10, "≥ 0.5"),
    || moved("one at each timestamp", 1, "≥ 0.35"),
    delayed,
    || {
        burst(
            "1,000 entries firing at one second",
            1_000,
            "first ≤ 5 ms, last ≤ 30 ms",
        )
    },
    || {
        burst(
            "10,000 entries firing at one second",
            10_000,
            "last ≤ 200 ms",
        )
    },
    || memory("memory, idle, 10 entries", 10, "≤ 6 MB"),
    || memory("memory, idle, 1,000 entries", 1_000, "≤ 8 MB"),
    || memory("memory, idle, 100,000 entries", 100_000, "≤ 80 MB"),
    idle,
    start,
    binary,
];

fn main() {
    let as_json = std::env::args().any(|argument| argument == "--json");
    if !as_json {
        println!("| what | measured | to reach |\n| --- | --- | --- |");
    }
    for row in ROWS {
        let Row {
            what,
            measured,
            reach,
            values,
        } = row();
        if as_json {
            println!(
                "{}",
                json!({"what": what, "reach": reach, "measured": values})
            );
        } else {
            println!("| {what} | {measured} | {reach} |");
        }
    }
}
