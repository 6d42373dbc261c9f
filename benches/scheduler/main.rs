//! Measures throughput, lateness and memory of the real program with a private redis-server.
//!
//! Prints a Markdown table with the goal of each row, or with `--json` one line of JSON for each row. With a word as
//! argument, measures only the rows whose name contains it.
//!
//! No benchmark framework is used, because the measurements are of processes, and neither divan nor criterion prints
//! ratios.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a benchmark reads the clock, prints, and fails by panicking"
)]

mod bed;
mod dynamic;
mod firing;
mod growth;
mod moving;
mod resting;

use bed::median;
use dynamic::Costs;
use growth::Fairness;
use moving::{Moved, Shape};
use serde_json::{Value, json};

/// The result of one row, as text and as numbers.
type Measured = (String, Value);

/// One row of the table.
struct Row {
    what: &'static str,
    reach: &'static str,
    measure: fn() -> Measured,
}

const ROWS: [Row; 20] = [
    Row {
        what: "delayed jobs moved, all at one timestamp",
        reach: "≥ 0.6",
        measure: || moved(100_000),
    },
    Row {
        what: "delayed jobs moved, ten at each timestamp",
        reach: "≥ 0.5",
        measure: || moved(10),
    },
    Row {
        what: "delayed jobs moved, one at each timestamp",
        reach: "≥ 0.35",
        measure: || moved(1),
    },
    Row {
        what: "lateness of delayed jobs, 5 due each second",
        reach: "p50 ≤ 3 ms, p99 ≤ 10 ms",
        measure: lateness,
    },
    Row {
        what: "1,000 entries firing at one second",
        reach: "first ≤ 5 ms, last ≤ 30 ms",
        measure: || burst(1_000),
    },
    Row {
        what: "10,000 entries firing at one second",
        reach: "last ≤ 200 ms",
        measure: || burst(10_000),
    },
    Row {
        what: "memory, idle, 10 entries",
        reach: "≤ 8 MB",
        measure: || memory(10),
    },
    Row {
        what: "memory, idle, 1,000 entries",
        reach: "≤ 9 MB",
        measure: || memory(1_000),
    },
    Row {
        what: "memory, idle, 100,000 entries",
        reach: "≤ 80 MB",
        measure: || memory(100_000),
    },
    Row {
        what: "idle",
        reach: "≤ 2.2/s, ≤ 1.1/s, ≤ 0.1%",
        measure: idle,
    },
    Row {
        what: "start to leading, 1,000 entries loaded",
        reach: "≤ 30 ms",
        measure: start,
    },
    Row {
        what: "release binary, stripped",
        reach: "≤ 10 MB",
        measure: binary,
    },
    Row {
        what: "growth: 10⁴, 10⁵, 10⁶ delayed jobs, all at one timestamp",
        reach: FLAT,
        measure: || growth("µs a job", &growth::jobs(usize::MAX)),
    },
    Row {
        what: "growth: 10⁴, 10⁵, 10⁶ delayed jobs, ten at each timestamp",
        reach: FLAT,
        measure: || growth("µs a job", &growth::jobs(10)),
    },
    Row {
        what: "growth: 10⁴, 10⁵, 10⁶ delayed jobs, one at each timestamp",
        reach: FLAT,
        measure: || growth("µs a job", &growth::jobs(1)),
    },
    Row {
        what: "growth: ten at each timestamp for 1, 10², 10⁴ queues",
        reach: FLAT,
        measure: || growth("µs a job", &growth::queues()),
    },
    Row {
        what: "growth: payloads of 100 B, 1 KB, 10 KB, 100 KB",
        reach: FLAT,
        measure: || growth("times the bare script", &growth::payloads()),
    },
    Row {
        what: "growth: 10² entries firing at one second, to 10³, to 10⁴, to 10⁵",
        reach: FLAT,
        measure: || growth("µs a fire", &growth::entries()),
    },
    Row {
        what: "while 10⁶ delayed jobs are moved, one at each timestamp",
        reach: "fires ≤ 20 ms, PING p99 < 5 ms, lease renewed in time, memory < 64 MB",
        measure: fairness,
    },
    Row {
        what: "dyn growth: a dynamic entry changed every second, after 10⁵ were removed",
        reach: "fires ≤ 20 ms, Redis < 2% of a core",
        measure: dynamic_growth,
    },
];

/// The goal of the rows that measure growth.
const FLAT: &str = "flat within 2×";

fn moved(at_each: usize) -> Measured {
    let shape = Shape {
        jobs: 100_000,
        at_each,
        bytes: 0,
        queues: 1,
    };
    let (ours, bare, ratio) = shape.measure();
    let Moved {
        per_second,
        in_redis,
        in_us,
    } = ours;
    (
        format!(
            "{per_second:.0}/s, {ratio:.2} of the bare script's {bare:.0}/s; \
             a job takes {in_redis:.1} µs in Redis, {in_us:.1} µs in us"
        ),
        json!({
            "per_second": per_second, "bare_per_second": bare, "ratio": ratio,
            "redis_us": in_redis, "our_us": in_us,
        }),
    )
}

fn lateness() -> Measured {
    let late = firing::delayed(5, 20);
    let (p50, p99, max) = (
        late[late.len() / 2],
        late[late.len() * 99 / 100],
        late[late.len() - 1],
    );
    (
        format!("p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms"),
        json!({"p50_ms": p50, "p99_ms": p99, "max_ms": max}),
    )
}

fn burst(entries: usize) -> Measured {
    let bursts = firing::burst(entries, 5);
    let first = median(bursts.iter().map(|it| it.first).collect());
    let last = median(bursts.iter().map(|it| it.last).collect());
    (
        format!("first {first:.1} ms, last {last:.1} ms"),
        json!({"first_ms": first, "last_ms": last}),
    )
}

fn memory(entries: usize) -> Measured {
    let (resident, peak) = resting::memory(entries);
    (
        format!("{resident:.1} MB, peak {peak:.1} MB"),
        json!({"rss_mb": resident, "peak_mb": peak}),
    )
}

fn idle() -> Measured {
    let (commands, reads, share) = resting::idle(20);
    let percent = share * 100.0;
    (
        format!("{commands:.2} commands/s, {reads:.2} reads/s, {percent:.2}% of a core"),
        json!({"commands_per_second": commands, "reads_per_second": reads, "cpu": share}),
    )
}

fn start() -> Measured {
    let ready = median((0..5).map(|_| firing::start(1_000)).collect());
    (format!("{ready:.1} ms"), json!({"ms": ready}))
}

fn binary() -> Measured {
    let size = resting::binary();
    (format!("{size:.1} MB"), json!({"mb": size}))
}

fn growth(unit: &str, costs: &[f64]) -> Measured {
    let of = |choose: fn(f64, f64) -> f64| costs.iter().copied().reduce(choose).unwrap();
    let grows = of(f64::max) / of(f64::min);
    let shown: Vec<_> = costs.iter().map(|cost| format!("{cost:.1}")).collect();
    (
        format!("{} {unit}: within {grows:.1}×", shown.join(", ")),
        json!({"costs": costs, "grows": grows, "unit": unit}),
    )
}

fn fairness() -> Measured {
    let Fairness {
        fires,
        pings,
        lease,
        memory,
    } = growth::fairness();
    let fires_max = fires[fires.len() - 1];
    let (p99, pings_max) = (pings[pings.len() * 99 / 100], pings[pings.len() - 1]);
    (
        format!(
            "{} fires at most {fires_max:.1} ms late; PING p99 {p99:.1} ms, max {pings_max:.1} ms; \
             {lease:.1} s left of the lease at least; {memory:.1} MB at its peak",
            fires.len()
        ),
        json!({
            "fires": fires.len(), "fires_max_ms": fires_max, "ping_p99_ms": p99,
            "ping_max_ms": pings_max, "lease_left_s": lease, "peak_mb": memory,
        }),
    )
}

fn dynamic_growth() -> Measured {
    let [idle, former, live] = dynamic::costs().map(of_changes);
    (
        format!(
            "{}; with 10⁴ more in force: {}; with neither, nor changes: {}",
            former.0, live.0, idle.0
        ),
        json!({"former": former.1, "live": live.1, "idle": idle.1}),
    )
}

fn of_changes(costs: Costs) -> Measured {
    let Costs {
        late,
        in_redis,
        ratio,
        in_us,
        commands,
        changes,
        acknowledged,
    } = costs;
    let fires = late.len();
    let (p50, p99, max) = (late[fires / 2], late[fires * 99 / 100], late[fires - 1]);
    let (redis_percent, our_percent) = (in_redis * 100.0, in_us * 100.0);
    let compared = match changes {
        0 => String::new(),
        _ => format!(
            ", {ratio:.1} times as much as without; {acknowledged} of {changes} changes acknowledged within 1 s"
        ),
    };
    let text = format!(
        "{fires} fires p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms late; {commands:.1} commands/s; \
         the program {our_percent:.2}%, Redis {redis_percent:.2}% of a core{compared}"
    );
    (
        text,
        json!({
            "fires": fires, "late_p50_ms": p50, "late_p99_ms": p99, "late_max_ms": max, "redis_cpu": in_redis,
            "redis_ratio": ratio, "cpu": in_us, "commands_per_second": commands, "changes": changes,
            "acknowledged": acknowledged,
        }),
    )
}

fn main() {
    // Arguments from cargo begin with two dashes.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let as_json = arguments.iter().any(|it| it == "--json");
    let wanted = arguments.iter().find(|it| !it.starts_with("--"));
    if !as_json {
        println!("| what | measured | to reach |\n| --- | --- | --- |");
    }
    let rows = ROWS
        .iter()
        .filter(|row| wanted.is_none_or(|it| row.what.contains(it)));
    for Row {
        what,
        reach,
        measure,
    } in rows
    {
        let (text, values) = measure();
        if as_json {
            println!(
                "{}",
                json!({"what": what, "reach": reach, "measured": values})
            );
        } else {
            println!("| {what} | {text} | {reach} |");
        }
    }
}
