//! Parses any text as a Redis URL.
//!
//! Parsing never panics, and neither the shown address nor an error contains the password.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rescue_scheduler::store::{Address, Credentials};

const PASSWORD: &str = "correct-horse";

const SCHEMES: [&str; 4] = ["redis", "rediss", "redis+sentinel", "redis+cluster"];

fuzz_target!(|input: (u8, &str, &str, &str)| {
    let (choice, before, after, rest) = input;
    read(before);
    let scheme = SCHEMES[usize::from(choice) % SCHEMES.len()];
    read(&format!("{scheme}://{before}:{PASSWORD}{after}@{rest}"));
    read(&format!("unix:///{before}?pass={PASSWORD}{after}&{rest}"));
});

fn read(url: &str) {
    let shown = match Address::parse(url, Credentials::default()) {
        Ok(address) => address.to_string(),
        Err(error) => error.to_string(),
    };
    assert!(!shown.contains(PASSWORD), "{url:?} is shown as {shown:?}");
}
