//! The documentation: its links lead somewhere, its commands print what it says, and it names every option and key.

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

/// The pages that a reader of the repository sees, in the order of their names.
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

/// The page `docs/NAME`.
fn page(name: &str) -> Page {
    let mut pages = pages().into_iter();
    pages.find(|page| page.path.ends_with(name)).unwrap()
}
