//! The rules of the house that a compiler can't know: imports point down, the core is pure, and
//! Redis is known in one folder only.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The floors, highest first. A floor may import itself and those below it.
const FLOORS: [&str; 9] = [
    "main", "cli", "signals", "logs", "engine", "store", "events", "config", "clock",
];
const CORE: &str = "core";

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All source files: the floor of each, its name and its text.
fn files() -> Vec<(String, PathBuf, String)> {
    let (mut folders, mut files) = (vec![source()], vec![]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(source()).unwrap().to_path_buf();
                let floor = name.iter().next().unwrap().to_str().unwrap();
                let floor = floor.trim_end_matches(".rs").to_owned();
                files.push((floor, name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

/// The names that follow `crate::` anywhere in `text`, also within braces.
fn imports(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let first_word = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|it| it.is_alphanumeric() || *it == '_')
            .collect()
    };
    let mut found = vec![];
    for after in code.split("crate::").skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            found.push(first_word(after));
            continue;
        };
        let mut depth = 0;
        let mut part = String::new();
        for it in group.chars() {
            match it {
                '}' if depth == 0 => break,
                ',' if depth == 0 => found.push(first_word(&std::mem::take(&mut part))),
                _ => part.push(it),
            }
            depth += i32::from(it == '{') - i32::from(it == '}');
        }
        found.push(first_word(&part));
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn imports_point_down() {
    let height = |floor: &str| FLOORS.iter().position(|it| *it == floor);
    let mut checked = 0;
    for (floor, path, text) in files() {
        for import in imports(&text).iter().filter(|_| floor != "lib") {
            let downward = match (height(&floor), height(import)) {
                (Some(from), Some(to)) => from <= to,
                (Some(_), None) => import == CORE,
                (None, to) => to.is_none() && import == CORE,
            };
            assert!(
                downward,
                "{} imports {import}, which is above it",
                path.display()
            );
            checked += 1;
        }
    }
    println!("{checked} imports checked");
    assert!(checked > 20);
}

#[test]
fn the_core_is_pure() {
    for (floor, path, text) in files() {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for word in [
            "tokio", "redis", "tracing", "std::fs", "std::env", "std::io", "::now()",
        ] {
            let found = floor == CORE && code.contains(word);
            assert!(!found, "{} knows of {word}", path.display());
        }
    }
}

#[test]
fn redis_is_known_in_one_folder() {
    for (floor, path, text) in files() {
        let found = floor != "store" && text.contains("redis::");
        assert!(!found, "{} uses redis", path.display());
    }
}

#[test]
fn files_and_scripts_are_short() {
    for (_, path, text) in files() {
        let lines = text.lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
    }
}
