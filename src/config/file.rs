//! Schedule files on disk. Only plain files of a bounded size are read: a pipe, a device or an endless file
//! would hang whoever reads it, or take all memory.

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

/// How large a schedule file may be, in bytes, if nothing else is said.
pub const MAX_SIZE: u64 = 64 << 20;

/// How the names of schedule files in a directory end.
const ENDINGS: [&str; 3] = ["toml", "yml", "yaml"];

/// Reads schedule files of at most `max_size` bytes each: TOML, or, where the name ends in `.yml` or `.yaml`, YAML
/// as resque-scheduler reads it. Of a directory, each such file in it, in order of their names and but for
/// hidden ones; not those in directories below.
///
/// # Errors
/// A [`Mistakes`] of all mistakes, in all files, with those files that can't be read.
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
            // A file that is named twice is read once.
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

/// Writes a schedule file of resque-scheduler, in YAML, as one in TOML with the same entries; its
/// comments are kept, and a note says what has no meaning here.
///
/// # Errors
/// A [`Mistakes`] of all mistakes, or that it can't be read, or that it is no YAML.
pub fn convert(path: &Path) -> Result<String, Mistakes> {
    let source = read(path, MAX_SIZE).map_err(|mistake| Mistakes::new(vec![mistake]))?;
    match source.syntax() {
        Syntax::Yaml => toml_of(&source),
        Syntax::Toml => Err(Mistakes::new(vec![unread(path, Mistake::NotYaml)])),
    }
}

/// The schedule files at `path`: itself, or those in the directory.
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
            // Up to there the lossy text is the file's own.
            let at = error.valid_up_to();
            Err(Diagnostic::new(&source, Some(at..at), Mistake::NotUtf8))
        }
    }
}

fn bytes(path: &Path, max_size: u64) -> Result<Vec<u8>, Mistake> {
    let failed = |error| unreadable(&error);
    // Before it is opened, because opening a device may do something.
    check_plain(fs::metadata(path).map_err(failed)?.file_type())?;
    let mut options = File::options();
    // Another file may be there by now; opening a pipe would wait for whoever writes to it.
    let options = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = options.open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    check_plain(found.file_type())?;
    let mut bytes = vec![];
    if found.len() <= max_size {
        // It may grow, and those of the kernel do not know their size.
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
