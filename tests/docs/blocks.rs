//! Runs the marked code blocks of the documentation on a private Redis, and compares the output.
//!
//! - `<!-- run -->` before a fenced block: a shell runs the block in a folder with the repository's schedules.
//! - `<!-- run: exits 1 -->`: the same, and the exit code is 1.
//! - `<!-- run until "TEXT" -->`: the shell is stopped when it has printed TEXT.
//! - `<!-- file: NAME -->`: the block is the content of a file that the blocks below it can read.
//! - `<!-- prints -->` before the next block: the exact output.
//! - `<!-- prints some -->`: lines of the output in this order. `…` matches any lines, or any part of a line.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use tempfile::TempDir;

use crate::{
    docs::{Page, pages},
    harness::Redis,
};

/// A fenced block and the mark before it.
struct Block {
    line: usize,
    mark: Option<String>,
    text: String,
}

/// Returns the blocks of a page.
fn blocks(page: &Page) -> Vec<Block> {
    let (mut blocks, mut mark, mut block) = (vec![], None, None);
    for (event, range) in Parser::new(&page.text).into_offset_iter() {
        match event {
            Event::Html(html) => {
                let html = html.trim().strip_prefix("<!-- ");
                mark = html
                    .and_then(|it| it.strip_suffix(" -->"))
                    .map(str::to_owned);
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
                let line = page.text[..range.start].matches('\n').count() + 1;
                block = Some(Block {
                    line,
                    mark: mark.take(),
                    text: String::new(),
                });
            }
            Event::Text(text) => {
                if let Some(block) = &mut block {
                    block.text.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(block.take()),
            Event::Start(Tag::Paragraph | Tag::Heading { .. } | Tag::List(_)) => mark = None,
            _ => {}
        }
    }
    blocks
}

#[test]
fn marked_blocks_run_as_they_are_printed() {
    let mut run = 0;
    for page in pages() {
        let (blocks, mut files) = (blocks(&page), vec![]);
        for (index, block) in blocks.iter().enumerate() {
            let mark = block.mark.as_deref().unwrap_or_default();
            if let Some(name) = mark.strip_prefix("file: ") {
                files.push((name, &*block.text));
            }
            if !mark.starts_with("run") {
                continue;
            }
            let printed = execute(&block.text, mark, &files);
            let place = format!("{}:{}", page.path.display(), block.line);
            let next = blocks.get(index + 1);
            match next.and_then(|next| Some((next.mark.as_deref()?, &next.text))) {
                Some(("prints", expected)) => assert_eq!(printed, *expected, "{place}"),
                Some(("prints some", expected)) => prints_some(&printed, expected, &place),
                _ => {}
            }
            run += 1;
        }
    }
    assert!(run > 0, "no block is marked");
}

/// Runs `commands` in a shell as the mark `how` says, and returns the output.
fn execute(commands: &str, how: &str, files: &[(&str, &str)]) -> String {
    let redis = Redis::on_port();
    let folder = folder(&redis);
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let program = Path::new(env!("CARGO_BIN_EXE_rescue-scheduler"));
    let paths = [&folder.path().join("bin"), program.parent().unwrap()].map(Path::to_owned);
    let old = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(paths.into_iter().chain(std::env::split_paths(&old)));
    let mut shell = Command::new("sh");
    shell
        .args(["-ec", &format!("exec 2>&1\n{commands}")])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", path.unwrap())
        .env("REDIS_URL", redis.url())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    // A separate process group, so that everything that the shell starts can be stopped.
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let mut shell = shell.spawn().unwrap();
    let printed = if let Some(text) = how.strip_prefix("run until ") {
        until(&mut shell, text.trim_matches('"'))
    } else {
        let mut printed = String::new();
        let output = shell.stdout.as_mut().unwrap();
        output.read_to_string(&mut printed).unwrap();
        printed
    };
    let code = shell.wait().unwrap().code();
    let expected = how
        .strip_prefix("run: exits ")
        .map_or(0, |it| it.parse().unwrap());
    let ended = how.starts_with("run until") || code == Some(expected);
    assert!(ended, "exit code {code:?} of:\n{commands}\n{printed}");
    printed
}

/// Creates a folder with the repository's schedules, and a `redis-cli` that connects to `redis`.
fn folder(redis: &Redis) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["bin", "schedules"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for file in fs::read_dir(root.join("schedules")).unwrap() {
        let file: PathBuf = file.unwrap().path();
        let copy = folder
            .path()
            .join("schedules")
            .join(file.file_name().unwrap());
        fs::copy(&file, copy).unwrap();
    }
    let command = folder.path().join("bin/redis-cli");
    let url = redis.url();
    let script =
        format!("#!/bin/sh\nPATH=/usr/local/bin:/usr/bin:/bin\nexec redis-cli -u {url} \"$@\"\n");
    fs::write(&command, script).unwrap();
    fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Reads the output of `shell` up to a line that contains `text`, then stops the shell and everything that it
/// started.
fn until(shell: &mut Child, text: &str) -> String {
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    let mut printed = String::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        printed.push_str(&line);
        printed.push('\n');
        if line.contains(text) {
            break;
        }
    }
    assert!(printed.contains(text), "no `{text}` in:\n{printed}");
    killpg(
        Pid::from_raw(shell.id().try_into().unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    for line in lines {
        printed.push_str(&line.unwrap());
        printed.push('\n');
    }
    printed
}

/// Asserts that the lines of `expected` are in `printed`, in this order.
#[track_caller]
fn prints_some(printed: &str, expected: &str, place: &str) {
    let mut rest = printed.lines();
    for line in expected.lines().filter(|line| *line != "…") {
        let found = rest.any(|it| is_like(it, line));
        assert!(found, "{place}: no `{line}` at its place in:\n{printed}");
    }
}

/// Whether `line` matches `pattern`, in which `…` matches any text.
fn is_like(line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut is_open = false;
    for part in parts {
        is_open = true;
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
        is_open &= part.is_empty();
    }
    is_open || rest.is_empty()
}

#[test]
fn an_ellipsis_stands_for_any_part_of_a_line() {
    assert!(is_like("a b c", "a … c"));
    assert!(is_like("a b c", "a …"));
    assert!(is_like("a b c", "a b c"));
    assert!(!is_like("a b c", "a b"));
    assert!(!is_like("a b c", "a … d"));
}
