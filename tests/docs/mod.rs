//! The documentation: links, the output of commands, and completeness of the reference tables.

mod blocks;
mod links;
mod reference;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A page of the documentation.
struct Page {
    path: PathBuf,
    text: String,
}

/// Returns the pages at the root and in `docs`, sorted by path.
fn pages() -> Vec<Page> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = [root.to_owned(), root.join("docs")]
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect();
    paths.sort();
    let read = |path: PathBuf| Page {
        text: fs::read_to_string(&path).unwrap(),
        path,
    };
    paths.into_iter().map(read).collect()
}

/// Returns the page whose path ends with `name`.
fn page(name: &str) -> Page {
    let mut pages = pages().into_iter();
    pages.find(|page| page.path.ends_with(name)).unwrap()
}
