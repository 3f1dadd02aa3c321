//! Where lines go: a file that can be opened anew (after somebody moved it away), the standard output, or nowhere.
//! Lines are written whole or, when the disk is full, not at all; what was lost is counted.

use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Takes lines from any thread.
pub struct Sink {
    target: Target,
    lost: AtomicU64,
}

enum Target {
    Off,
    Stdout,
    File { path: PathBuf, file: Mutex<File> },
}

impl Sink {
    pub fn off() -> Sink {
        Sink { target: Target::Off, lost: AtomicU64::new(0) }
    }

    pub fn stdout() -> Sink {
        Sink { target: Target::Stdout, lost: AtomicU64::new(0) }
    }

    /// Appends to `path`; makes its directory (0700) and the file (0640) if they are missing.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn file(path: &Path) -> io::Result<Sink> {
        let file = Mutex::new(append(path)?);
        Ok(Sink { target: Target::File { path: path.to_owned(), file }, lost: AtomicU64::new(0) })
    }

    /// Writes `line` and its end. `line` contains no newline.
    pub fn line(&self, line: &str) {
        let mut whole = String::with_capacity(line.len() + 1);
        whole.push_str(line);
        whole.push('\n');
        self.lines(whole.as_bytes(), 1);
    }

    /// Writes `text`, which is `count` whole lines with their ends.
    pub fn lines(&self, text: &[u8], count: usize) {
        if text.is_empty() {
            return;
        }
        let written = match &self.target {
            Target::Off => Ok(()),
            Target::Stdout => io::stdout().lock().write_all(text),
            // One write of whole lines: with O_APPEND two processes do not mix theirs.
            Target::File { file, .. } => file.lock().write_all(text),
        };
        if written.is_err() {
            self.lost.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Opens the file under its name again. If that fails, the old file stays in use.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn reopen(&self) -> io::Result<()> {
        if let Target::File { path, file } = &self.target {
            let anew = append(path)?;
            *file.lock() = anew;
        }
        Ok(())
    }

    /// Lines that could not be written.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub fn is_off(&self) -> bool {
        matches!(self.target, Target::Off)
    }
}

fn append(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        private_directory(directory)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

/// Makes a directory, and those it is in, readable by the owner only. One that is there stays as it is.
///
/// # Errors
/// It cannot be made.
pub fn private_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_was_moved_away_is_opened_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) =
            (directory.path().join("log/access.log"), directory.path().join("log/access.log.1"));
        let sink = Sink::file(&path).unwrap();
        sink.line("one");
        std::fs::rename(&path, &moved).unwrap();
        sink.line("two");
        sink.reopen().unwrap();
        sink.line("three");
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(sink.lost(), 0);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let sink = Sink::file(Path::new("/dev/full")).unwrap();
        sink.line("no room");
        assert_eq!(sink.lost(), 1);
    }
}
