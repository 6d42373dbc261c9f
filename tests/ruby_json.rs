//! Random delayed items, decoded here and by Ruby's own JSON, to check that all items on which a worker exits are
//! refused.

use std::{collections::BTreeMap, iter::repeat_with};

use fastrand::Rng;
use regex_lite::Regex;
use rescue_scheduler::core::job::{
    delayed::{DelayedItem, Unqueueable},
    json::Unperformable,
};

use crate::harness::{argument, ruby::ask_ruby};

/// Numbers at the limits of doubles.
const NUMBERS: [&str; 22] = [
    "0",
    "-0",
    "-0.0",
    "1.0e+100",
    "1.7976931348623157e308",
    "-1.7976931348623158E308",
    "1.7976931348623159e308",
    "1.797693134862315807e308",
    "1.7976931348623158079372897140530341507993413271003e308",
    "1.8e308",
    "-1.8e+308",
    "1e400",
    "1E309",
    "17e307",
    "0.1e309",
    "0.00018e312",
    "1e-400",
    "5e-324",
    "0e400",
    "1e99999999999999999999",
    "1e-99999999999999999999",
    "18446744073709551616",
];

/// Parts of strings. The first nine are common, the others are rare.
const PARTS: [&[u8]; 22] = [
    b"a",
    "é/✓😀".as_bytes(),
    b"\\n",
    b"\\\\",
    b"\\\"",
    b"\\u0041",
    b"\\u0000\\u00e9\\uFFFF",
    b"\\ud83d\\ude00",
    b"\\uDBFF\\uDFFF",
    b"\x7f",
    b"\\ud7ff\\ue000",
    b"\\ud83d",
    b"\\uD800",
    b"\\ude00",
    b"\\uDFFF",
    b"\\\\ud83d",
    b"\\\\\\ud83d",
    b"\xff",
    b"\xed\xa0\xbd",
    b"\t",
    b"1e400",
    b"[[{",
];

/// Bytes that may replace a byte of valid JSON.
const ACCIDENTS: &[u8] = b"[]{}\",:0-.eE+\\u ";

fn number(rng: &mut Rng) -> String {
    let digits = |rng: &mut Rng, most: usize| -> String {
        let count = rng.usize(1..=most);
        let first = char::from(b'1' + rng.u8(..9));
        let others = repeat_with(|| rng.digit(10)).take(count - 1);
        std::iter::once(first).chain(others).collect()
    };
    match rng.u8(..20) {
        0..3 => (*rng.choice(NUMBERS.iter()).unwrap()).to_owned(),
        3 => digits(rng, 400),
        4 => format!("{}.{}", digits(rng, 320), digits(rng, 9)),
        5 => format!("-{}e{}", digits(rng, 20), rng.i32(270..310)),
        6 => format!(
            "{}.{}E-{}",
            digits(rng, 330),
            digits(rng, 30),
            rng.u16(..400)
        ),
        7 => format!("0.{}1e{}", "0".repeat(rng.usize(..400)), rng.u16(..700)),
        8..12 => rng.u32(..).to_string(),
        _ => match f64::from_bits(rng.u64(..)) {
            it if it.is_finite() => format!("{it:e}"),
            _ => "7".to_owned(),
        },
    }
}

fn text(rng: &mut Rng, out: &mut Vec<u8>) {
    out.push(b'"');
    for _ in 0..rng.usize(..8) {
        let rare = rng.u8(..30) == 0;
        let part = if rare {
            rng.usize(9..PARTS.len())
        } else {
            rng.usize(..9)
        };
        out.extend_from_slice(PARTS[part]);
    }
    out.push(b'"');
}

fn value(rng: &mut Rng, levels: usize, out: &mut Vec<u8>) {
    match rng.u8(..if levels == 0 { 6 } else { 10 }) {
        0..2 => out.extend_from_slice(number(rng).as_bytes()),
        2..5 => text(rng, out),
        5 => {
            let literals = ["true", "false", "null", "1e2", "[]", "{}"];
            out.extend_from_slice(rng.choice(literals).unwrap().as_bytes());
        }
        6..8 => list(rng, levels - 1, out),
        _ => {
            out.push(b'{');
            for index in 0..rng.usize(..4) {
                out.extend_from_slice(if index == 0 { b"" } else { b", " });
                if rng.u8(..9) == 0 {
                    out.extend_from_slice(b"\"doubled\"");
                } else {
                    text(rng, out);
                    // Append a number, so that no key of this object is repeated.
                    out.pop();
                    out.extend_from_slice(format!("{index}\"").as_bytes());
                }
                out.push(b':');
                value(rng, levels - 1, out);
            }
            out.push(b'}');
        }
    }
}

fn list(rng: &mut Rng, levels: usize, out: &mut Vec<u8>) {
    out.push(b'[');
    for index in 0..rng.usize(..4) {
        out.extend_from_slice(if index == 0 { b"" } else { b"," });
        value(rng, levels, out);
    }
    out.push(b']');
}

/// Returns an argument list. Some are invalid, and some are nested too deep.
fn arguments(rng: &mut Rng) -> Vec<u8> {
    let mut json = vec![];
    list(rng, 3, &mut json);
    if rng.u8(..5) == 0 {
        for _ in 0..rng.u8(93..100) {
            let (open, close): (&[u8], &[u8]) = if rng.bool() {
                (b"[", b"]")
            } else {
                (b"{\"a\":", b"}")
            };
            json = [open, &json, close].concat();
        }
        json = [b"[", &*json, b"]"].concat();
    }
    if rng.u8(..10) == 0 {
        let at = rng.usize(1..json.len());
        json[at] = *rng.choice(ACCIDENTS).unwrap();
    }
    json
}

/// Whether a worker does not exit on this job although the job is quarantined. There are four reasons:
///
/// * Ruby's JSON 2.6 reads the six bytes after half a surrogate pair as the other half, whatever they are. JSON 2.14
///   and later reject such text.
/// * Ruby reads an unknown escape, such as `\q`, as the letter alone.
/// * If an object has a key twice, Ruby drops the first value, whatever is in it.
/// * Ruby's JSON 2.6 copies some bytes that are not UTF-8.
fn worker_survives_anyway(error: &Unqueueable, payload: &str) -> bool {
    if payload.matches("\"doubled\"").count() > 1 {
        return true;
    }
    let taken = Regex::new(r#"\\u[dD][89abAB]..([^"\\]|\\.){3}"#).unwrap();
    match error {
        Unqueueable::Unperformable(Unperformable::LoneSurrogate) => taken.is_match(payload),
        Unqueueable::NotJson(error) => {
            let accepted = ["invalid escape", "invalid unicode code point"];
            accepted.iter().any(|it| error.starts_with(it)) || taken.is_match(payload)
        }
        _ => false,
    }
}

#[test]
#[ignore = "needs ruby: run `make interop`"]
fn an_item_is_moved_if_and_only_if_a_ruby_worker_does_not_exit_on_it() {
    let seed = argument("RUBY_JSON_SEED", fastrand::u64(..));
    println!("RUBY_JSON_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let random = repeat_with(|| arguments(&mut rng)).take(20_000);
    let edges = NUMBERS.iter().map(|it| format!("[{it}]").into_bytes());
    let edges = edges.chain(PARTS.iter().map(|it| [b"[\"", *it, b"\"]"].concat()));
    let arguments: Vec<_> = edges.chain(random).collect();
    let payloads: Vec<_> = (arguments.iter())
        .map(|it| [br#"{"class":"C","args":"#, &**it, b"}"].concat())
        .collect();
    let mut counts = BTreeMap::<String, usize>::new();
    for (payload, ruby) in payloads.iter().zip(ask_ruby("status_record.rb", &payloads)) {
        let item = [&payload[..payload.len() - 1], br#","queue":"q"}"#].concat();
        let shown = String::from_utf8_lossy(payload);
        let kind = match DelayedItem::decode(&item) {
            Ok(moved) => {
                assert_eq!(moved.payload.as_bytes(), payload, "{shown}");
                assert_eq!(ruby, "ok", "moved, but the worker exits: {shown}");
                "moved".to_owned()
            }
            Err(error) if ruby == "ok" => {
                let expected = worker_survives_anyway(&error, &shown);
                assert!(
                    expected,
                    "quarantined ({error}), but the worker survives: {shown}"
                );
                "quarantined, but survived".to_owned()
            }
            Err(Unqueueable::Unperformable(error)) => format!("{error:?}"),
            Err(_) => "not JSON".to_owned(),
        };
        *counts.entry(kind).or_default() += 1;
    }
    println!("{counts:?}");
    for kind in ["moved", "TooDeep", "LoneSurrogate", "TooLarge", "not JSON"] {
        assert!(counts[kind] > 200, "few are {kind}: {counts:?}");
    }
}

#[test]
#[ignore = "needs ruby: run `make interop`"]
fn a_number_as_class_or_queue_becomes_its_text_in_ruby() {
    let mut rng = Rng::with_seed(1);
    let random = repeat_with(|| number(&mut rng)).take(1_000);
    let numbers: Vec<_> = NUMBERS
        .map(str::to_owned)
        .into_iter()
        .chain(random)
        .collect();
    let questions: Vec<_> = numbers.iter().map(|it| it.clone().into_bytes()).collect();
    for (number, text) in numbers.iter().zip(ask_ruby("to_s.rb", &questions)) {
        let item = format!(r#"{{"class":{number},"args":[],"queue":{number}}}"#);
        let payload = format!(r#"{{"class":"{text}","args":[]}}"#);
        let expected = if text.ends_with("Infinity") {
            Err(Unperformable::TooLarge.into())
        } else {
            Ok(DelayedItem {
                queue: text,
                payload,
            })
        };
        assert_eq!(DelayedItem::decode(item.as_bytes()), expected, "{number}");
    }
}
