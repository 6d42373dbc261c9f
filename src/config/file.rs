//! Reads schedule files from disk.
//!
//! Reads only regular files up to a maximum size. A pipe or a device could block the scheduler, and an endless file
//! would use all memory.

use std::{
    collections::BTreeSet,
    fs::{self, File, FileType},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;

use crate::config::{
    context::Context,
    parse::{Loaded, parse, toml_of},
    report::{
        diagnostic::{Diagnostic, Mistakes},
        mistake::Mistake,
        source::{Source, Syntax},
    },
};

/// The default maximum size of a schedule file in bytes.
pub const MAX_SIZE: u64 = 64 << 20;

/// The extensions of schedule files in a directory.
const ENDINGS: [&str; 3] = ["toml", "yml", "yaml"];

/// Reads schedule files of at most `max_size` bytes each.
///
/// A file whose name ends in `.yml` or `.yaml` is YAML, which is read as resque-scheduler reads it. Any other file is
/// TOML. For a directory, reads all `*.toml`, `*.yml` and `*.yaml` files in it, in the order of their names, but skips
/// hidden files and subdirectories.
///
/// # Errors
/// Returns all errors in all files, and all files that cannot be read.
pub fn load(paths: &[PathBuf], context: &Context, max_size: u64) -> Result<Loaded, Mistakes> {
    let mut mistakes = vec![];
    let mut sources = vec![];
    let mut seen = BTreeSet::new();
    for path in paths {
        let files = files(path).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            vec![]
        });
        for file in files {
            // A file that is named twice is read only once.
            if !seen.insert(file.clone()) {
                continue;
            }
            match read(&file, max_size) {
                Ok(source) => sources.push(source),
                Err(mistake) => mistakes.push(mistake),
            }
        }
    }
    let parsed = parse(&sources, context);
    if mistakes.is_empty() {
        return parsed;
    }
    mistakes.extend(
        parsed
            .err()
            .map(Mistakes::into_diagnostics)
            .unwrap_or_default(),
    );
    Err(Mistakes::new(mistakes))
}

/// Converts a YAML schedule file of resque-scheduler to TOML with the same entries.
///
/// Keeps the comments, and adds a note for everything that is ignored here.
///
/// # Errors
/// Returns all errors in the file, or an error if it cannot be read or is not YAML.
pub fn convert(path: &Path) -> Result<String, Mistakes> {
    let source = read(path, MAX_SIZE).map_err(|mistake| Mistakes::new(vec![mistake]))?;
    match source.syntax() {
        Syntax::Yaml => toml_of(&source),
        Syntax::Toml => Err(Mistakes::new(vec![unread(path, Mistake::NotYaml)])),
    }
}

/// Returns the schedule files at `path`: the file itself, or the files in the directory.
fn files(path: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut files: Vec<_> = files
        .map_err(|error| unread(path, unreadable(&error)))?
        .into_iter()
        .filter(|file| !file.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|file| file.path())
        .filter(|file| {
            let ending = file.extension();
            ENDINGS
                .iter()
                .any(|known| ending.is_some_and(|ending| ending == *known))
        })
        .collect();
    if files.is_empty() {
        return Err(unread(path, Mistake::NoFiles));
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path, max_size: u64) -> Result<Source, Diagnostic> {
    if path.extension().is_some_and(|ending| ending == "erb") {
        return Err(unread(path, Mistake::Template));
    }
    let bytes = bytes(path, max_size).map_err(|mistake| unread(path, mistake))?;
    let text = String::from_utf8_lossy(&bytes);
    let source = Source::new(path, text);
    match std::str::from_utf8(&bytes) {
        Ok(_) => Ok(source),
        Err(error) => {
            // Up to here, the lossy text is equal to the bytes of the file, so the position is the same.
            let at = error.valid_up_to();
            Err(Diagnostic::new(&source, Some(at..at), Mistake::NotUtf8))
        }
    }
}

fn bytes(path: &Path, max_size: u64) -> Result<Vec<u8>, Mistake> {
    let failed = |error| unreadable(&error);
    // Checked before the file is opened, because opening a device can have side effects.
    check_plain(fs::metadata(path).map_err(failed)?.file_type())?;
    let mut options = File::options();
    // The file may have been replaced since the check. Without O_NONBLOCK, opening a pipe waits for a writer.
    let options = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = options.open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    check_plain(found.file_type())?;
    let mut bytes = vec![];
    if found.len() <= max_size {
        // The file may grow, and files of the kernel (in /proc) report no size.
        let mut bounded = file.take(max_size.saturating_add(1));
        bounded.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 <= max_size {
            return Ok(bytes);
        }
    }
    Err(Mistake::TooLarge(max_size))
}

fn check_plain(found: FileType) -> Result<(), Mistake> {
    let kind = match found {
        it if it.is_file() => return Ok(()),
        it if it.is_fifo() => "a pipe",
        it if it.is_socket() => "a socket",
        it if it.is_dir() => "a directory",
        _ => "a device",
    };
    Err(Mistake::NotPlain(kind))
}

fn unread(path: &Path, mistake: Mistake) -> Diagnostic {
    let source = Source::new(path, "");
    Diagnostic::new(&source, None, mistake)
}

fn unreadable(error: &io::Error) -> Mistake {
    match error.kind() {
        io::ErrorKind::NotFound => Mistake::Missing,
        _ => Mistake::Unreadable(error.to_string()),
    }
}
