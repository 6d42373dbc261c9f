//! The pidfile and the title of this process.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process,
};

use nix::{errno::Errno, fcntl::OFlag, sys::signal, unistd::Pid};

use crate::cli::failure::Failure;

/// A pidfile. Dropping this removes the file, unless another process has replaced it.
pub(super) struct Pidfile(PathBuf);

impl Pidfile {
    /// Creates the pidfile, replacing one whose process has ended.
    ///
    /// # Errors
    /// If the file names another running process, or is not a plain file with a process ID.
    pub(super) fn write(path: &Path) -> Result<Self, Failure> {
        let written = remove_stale(path).and_then(|()| create(path));
        written.map_err(|error| Failure::File {
            what: "write process number to",
            path: path.to_owned(),
            error,
        })?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if let Ok(Some(text)) = content(&self.0)
            && text.trim_end() == process::id().to_string()
        {
            // The process exits, so an error here could not be handled.
            let _ = fs::remove_file(&self.0);
        }
    }
}

/// Creates the file. Fails if anything exists at `path`, even a dangling link.
fn create(path: &Path) -> io::Result<()> {
    writeln!(File::create_new(path)?, "{}", process::id())
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let Some(text) = content(path)? else {
        return Ok(());
    };
    let process = match text.trim_end() {
        // Its process was killed before it wrote its ID.
        "" => None,
        number => Some(number.parse::<i32>().ok().filter(|it| *it > 0).ok_or_else(|| {
            io::Error::other("the file is there and holds no process number; remove it, or name another one")
        })?),
    };
    if let Some(process) = process
        && process.unsigned_abs() != process::id()
        && is_alive(process)
    {
        return Err(io::Error::other(format!(
            "it names process {process}, which runs; stop that process, or remove the file if it is another program's"
        )));
    }
    fs::remove_file(path)
}

/// Returns the beginning of the file, or `None` if there is no file. Does not follow links or wait for pipes.
fn content(path: &Path) -> io::Result<Option<String>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Ok(found) if !found.is_file() => {
            return Err(io::Error::other(
                "there is a link, a pipe or the like, not a plain file; remove it",
            ));
        }
        found => found?,
    };
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)?;
    let mut bytes = vec![];
    file.take(32).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn is_alive(process: i32) -> bool {
    // Signal 0 only checks the process. If it belongs to another user, the call fails although it is alive.
    signal::kill(Pid::from_raw(process), None) != Err(Errno::ESRCH) && !is_thread(process)
}

/// Whether `number` is a thread of another process. Linux numbers threads and processes together.
fn is_thread(number: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    process.is_some_and(|process| process.trim().parse() != Ok(number))
}

/// Sets the title that `ps -o comm` and `top` show. Linux keeps its first 15 bytes.
#[cfg(target_os = "linux")]
pub(super) fn name_process(app: &str) {
    let title: String = app.chars().filter(|it| *it != '\0').collect();
    if let Ok(title) = std::ffi::CString::new(format!("rescue:{title}")) {
        // The title is cosmetic, so an error is ignored.
        let _ = nix::sys::prctl::set_name(&title);
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn name_process(_app: &str) {}
