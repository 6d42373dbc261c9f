//! Compares the time to find the next fire with the crates `cron` and `croner`, and prints Markdown tables.
//!
//! No benchmark framework is used, because neither divan nor criterion prints ratios or such a table.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock, prints, and fails by panicking"
)]

use std::{fmt::Display, fs, hint::black_box, str::FromStr, time::Instant};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rescue_scheduler::core::time::{cron::Cron, zone::Zone};

/// One expression in three dialects; `None` if a crate cannot express it.
struct Case {
    what: &'static str,
    ours: &'static str,
    cron: Option<&'static str>,
    croner: Option<&'static str>,
}

const CASES: [Case; 10] = [
    case("every minute", "* * * * *", "0 * * * * *"),
    case("every 5 minutes", "*/5 * * * *", "0 */5 * * * *"),
    case("hourly", "0 * * * *", "0 0 * * * *"),
    case("daily", "30 2 * * *", "0 30 2 * * *"),
    case("office hours", "*/15 9-17 * * 1-5", "0 */15 9-17 * * 2-6"),
    case("monthly", "0 0 1 * *", "0 0 0 1 * *"),
    Case {
        cron: None,
        ..case("last day of the month", "0 0 L * *", "")
    },
    Case {
        cron: None,
        croner: None,
        ..case("every other Monday", "0 9 * * 1%2", "")
    },
    case("29 February", "0 0 29 2 *", "0 0 0 29 2 *"),
    Case {
        croner: Some("0 0 29 2 +1"),
        ..case("29 February on a Monday", "0 0 29& 2 1", "0 0 0 29 2 2")
    },
];

/// Returns a case whose expression is the same for croner. `cron` needs seconds, and counts Sunday as 1.
const fn case(what: &'static str, ours: &'static str, cron: &'static str) -> Case {
    Case {
        what,
        ours,
        cron: Some(cron),
        croner: Some(ours),
    }
}

/// A function that returns the next fire after an instant.
type Next<'a> = Box<dyn Fn(&DateTime<Tz>) -> Option<DateTime<Tz>> + 'a>;

impl Case {
    /// Returns the functions of this crate, `cron` and `croner`.
    fn calendars(&self, zone: Tz) -> [Option<Next<'static>>; 3] {
        let ours = Cron::parse(self.ours, "").unwrap();
        let ours = move |at: &DateTime<Tz>| {
            let next = ours.next_after(at.to_utc(), Zone::Named(zone))?;
            Some(next.with_timezone(&zone))
        };
        let cron = self.cron.map(|text| -> Next<'static> {
            let schedule = cron::Schedule::from_str(text).unwrap();
            Box::new(move |at| schedule.after(at).next())
        });
        let croner = self.croner.map(|text| -> Next<'static> {
            let schedule = croner::Cron::from_str(text).unwrap();
            Box::new(move |at| schedule.find_next_occurrence(at, false).ok())
        });
        [Some(Box::new(ours)), cron, croner]
    }

    /// Returns functions that parse the expression with this crate, `cron` and `croner`.
    fn readers(&self) -> [Option<Box<dyn Fn() + '_>>; 3] {
        let ours = || drop(black_box(Cron::parse(black_box(self.ours), "")));
        let cron = self.cron.map(|text| -> Box<dyn Fn()> {
            Box::new(move || drop(black_box(cron::Schedule::from_str(black_box(text)))))
        });
        let croner = self.croner.map(|text| -> Box<dyn Fn()> {
            Box::new(move || drop(black_box(croner::Cron::from_str(black_box(text)))))
        });
        [Some(Box::new(ours)), cron, croner]
    }
}

/// Returns instants within 60 days without a change of the clocks.
///
/// The next 29 February on a Monday is 18 years away.
fn instants(zone: Tz) -> Vec<DateTime<Tz>> {
    let first: DateTime<Utc> = "2026-06-01T00:00:07Z".parse().unwrap();
    let steps = (0..100).map(|n| first + TimeDelta::seconds(n * 51_841));
    steps.map(|at| at.with_timezone(&zone)).collect()
}

/// Returns the median time of one call in nanoseconds. `pass` makes `calls` calls.
fn median(calls: u32, pass: impl Fn()) -> f64 {
    const PASSES: usize = 2_001;
    const ENOUGH: f64 = 0.5;

    pass();
    let start = Instant::now();
    let mut times = vec![];
    while times.len() < 5 || times.len() < PASSES && start.elapsed().as_secs_f64() < ENOUGH {
        let start = Instant::now();
        pass();
        times.push(start.elapsed().as_secs_f64() / f64::from(calls) * 1e9);
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Prints a row of medians, those of the other crates with their ratio to this crate.
fn row(first: impl Display, medians: [Option<f64>; 3]) {
    let [ours, cron, croner] = medians;
    let ours = ours.unwrap();
    let other = |median: Option<f64>| match median {
        Some(median) => format!("{} ({:.1} ×)", time(median), median / ours),
        None => "–".to_owned(),
    };
    println!(
        "| {first} | {} | {} | {} |",
        time(ours),
        other(cron),
        other(croner)
    );
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        1e6.. => format!("{:.2} ms", nanoseconds / 1e6),
        1e3.. => format!("{:.2} µs", nanoseconds / 1e3),
        _ => format!("{nanoseconds:.0} ns"),
    }
}

fn header(title: &str) {
    println!("\n| {title} | ours | cron | croner |\n| --- | --- | --- | --- |");
}

fn next_after(zone: Tz) {
    header(&format!("The next fire, {zone}"));
    let instants = instants(zone);
    for case in CASES {
        let calendars = case.calendars(zone);
        let fires = |next: &Next<'_>| instants.iter().map(next).collect::<Vec<_>>();
        let ours = calendars[0].as_ref().map(fires);
        for theirs in calendars.iter().flatten() {
            assert_eq!(Some(fires(theirs)), ours, "{}: they differ", case.what);
        }
        let calls = u32::try_from(instants.len()).unwrap();
        let medians = calendars.map(|next| {
            let next = next?;
            let pass = || {
                for at in &instants {
                    black_box(next(black_box(at)));
                }
            };
            Some(median(calls, pass))
        });
        row(format!("{}: `{}`", case.what, case.ours), medians);
    }
}

fn reading() {
    const CALLS: u32 = 100;

    header("Reading an expression");
    for case in CASES {
        let medians = case.readers().map(|read| {
            let read = read?;
            Some(median(CALLS, || (0..CALLS).for_each(|_| read())))
        });
        row(format!("{}: `{}`", case.what, case.ours), medians);
    }
}

/// Returns the bytes of memory of one schedule, measured with many; `None` if the system does not report memory.
fn memory<T>(read: impl Fn() -> T) -> Option<usize> {
    const MANY: usize = 20_000;
    const PAGE: usize = 4096;

    let resident = || -> Option<usize> {
        let pages = fs::read_to_string("/proc/self/statm").ok()?;
        Some(pages.split(' ').nth(1)?.parse::<usize>().ok()? * PAGE)
    };
    let before = resident()?;
    let schedules: Vec<T> = (0..MANY).map(|_| read()).collect();
    let after = resident()?;
    // Leaked, so that the next measurement cannot reuse the memory.
    std::mem::forget(black_box(schedules));
    Some((after - before) / MANY)
}

fn memories() {
    let office = &CASES[4];
    let ours = memory(|| Cron::parse(office.ours, "").unwrap());
    let cron = memory(|| cron::Schedule::from_str(office.cron.unwrap()).unwrap());
    let croner = memory(|| croner::Cron::from_str(office.croner.unwrap()).unwrap());
    header("Memory of a schedule");
    let [ours, cron, croner] =
        [ours, cron, croner].map(|bytes| bytes.map_or("–".to_owned(), |it| format!("{it} B")));
    println!(
        "| {}: `{}` | {ours} | {cron} | {croner} |",
        office.what, office.ours
    );
}

fn main() {
    // Memory is measured first, because freed memory would change the results.
    memories();
    next_after(Tz::UTC);
    next_after(Tz::America__New_York);
    reading();
}
