//! The container image. No Docker engine is needed here; `tests/docker/build.sh` builds the image.

use std::{fs, path::Path};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn lines(file: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Whether `.dockerignore` hides a path of the root from the Docker engine. The last matching pattern decides.
fn is_hidden(path: &str) -> bool {
    let patterns = lines(".dockerignore").into_iter();
    let patterns = patterns.filter(|it| !it.is_empty() && !it.starts_with('#'));
    let mut matching = patterns.filter(|pattern| {
        let name = pattern.trim_start_matches('!');
        assert!(
            name == "*" || !name.contains(['*', '?', '[', '/']),
            "this test does not know the pattern `{pattern}`"
        );
        name == "*" || name == path
    });
    matching.next_back().is_some_and(|it| !it.starts_with('!'))
}

#[test]
fn everything_that_the_dockerfile_copies_is_in_its_context() {
    let mut copied = 0;
    for line in lines("Dockerfile") {
        let Some(arguments) = line.strip_prefix("COPY ") else {
            continue;
        };
        if arguments.starts_with("--from=") {
            continue;
        }
        let mut paths: Vec<_> = arguments.split_whitespace().collect();
        paths.pop();
        for path in paths {
            assert!(Path::new(ROOT).join(path).exists(), "{line}: no {path}");
            assert!(!is_hidden(path), "{line}: .dockerignore hides {path}");
            copied += 1;
        }
    }
    assert!(copied > 3, "{copied}");
}
