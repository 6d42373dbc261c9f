//! Runs Ruby scripts, to compare with what Resque's workers do.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    thread,
};

/// Runs a script of `tests/ruby`, which prints one line for each line of input. Input need not be UTF-8.
#[track_caller]
pub fn ask_ruby(script: &str, questions: &[Vec<u8>]) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/ruby")
        .join(script);
    let mut ruby = Command::new("ruby");
    let ruby = ruby.arg("-W0").arg(script);
    let ruby = ruby.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut ruby = ruby.unwrap_or_else(|error| panic!("this test needs ruby: {error}"));
    let mut input = ruby.stdin.take().unwrap();
    let lines = questions.join(&b'\n');
    // A thread of its own, because Ruby answers before it has read everything.
    let writer = thread::spawn(move || input.write_all(&lines));
    let output = ruby.wait_with_output().unwrap();
    assert!(output.status.success(), "Ruby failed");
    writer.join().unwrap().unwrap();
    let answers = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<_> = answers.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), questions.len(), "one answer to each line");
    answers
}
