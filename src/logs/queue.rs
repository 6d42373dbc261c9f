//! A writer that never waits for its file or pipe: a thread writes the lines. Lines that the thread cannot write
//! in time are dropped and counted.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Maximum number of bytes that wait to be written: a few seconds of a busy log.
const LIMIT: usize = 4 << 20;
/// Bytes of buffer that the thread keeps after a burst.
const KEPT: usize = 64 << 10;

/// Lines that wait to be written to a file or pipe. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whole lines that the thread has not yet taken, and their number.
    waiting: Vec<u8>,
    lines: u64,
    /// Whether the thread holds lines that are not yet written.
    writing: bool,
    /// Whether new lines are dropped. They are, from the first one that did not fit until all waiting lines are
    /// written.
    full: bool,
    /// Number of dropped lines that are not yet reported.
    dropped: u64,
}

impl Queue {
    /// Starts the thread that writes to `sink`.
    ///
    /// After lines were dropped, the thread calls `report` with their number as soon as `sink` has taken all lines
    /// that waited.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(super) fn start(
        sink: impl Write + Send + 'static,
        report: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Self::default();
        let of_thread = queue.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .stack_size(256 << 10)
            .spawn(move || of_thread.write_to(sink, &report))?;
        Ok(queue)
    }

    /// Adds `text`, which ends with a line break, or drops it if too much is waiting.
    pub(super) fn push(&self, text: &[u8]) {
        let mut state = self.lock();
        let fits = state.waiting.is_empty() || state.waiting.len() + text.len() <= LIMIT;
        if state.full || !fits {
            state.full = true;
            state.dropped += 1;
            return;
        }
        state.waiting.extend_from_slice(text);
        state.lines += 1;
        if !state.writing {
            self.0.changed.notify_all();
        }
    }

    /// Waits until everything is written, for `limit` at most.
    pub(super) fn flush(&self, limit: Duration) {
        let unwritten = |state: &mut State| state.writing || !state.waiting.is_empty();
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.lock(), limit, unwritten);
        drop(waited);
    }

    fn write_to(&self, mut sink: impl Write, report: &impl Fn(u64)) {
        let mut batch = vec![];
        loop {
            let nothing = |state: &mut State| state.waiting.is_empty();
            let waited = self.0.changed.wait_while(self.lock(), nothing);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut batch, &mut state.waiting);
            let lines = mem::take(&mut state.lines);
            state.writing = true;
            drop(state);

            let written = sink.write_all(&batch).is_ok();
            batch.clear();
            batch.shrink_to(KEPT);

            let mut state = self.lock();
            if !written {
                state.dropped += lines;
            }
            let mut dropped = 0;
            if state.waiting.is_empty() {
                state.full = false;
                if written {
                    dropped = mem::take(&mut state.dropped);
                }
            }
            drop(state);
            if dropped > 0 {
                // `report` logs a line, so `push` is called here.
                report(dropped);
            }
            self.lock().writing = false;
            self.0.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A sink that blocks each write until the test allows it.
    struct Gate {
        open: mpsc::Receiver<io::Result<()>>,
        written: mpsc::Sender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.open.recv().unwrap_or(Ok(()))?;
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let _ = self.written.send(text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gate() -> (
        Queue,
        mpsc::Sender<io::Result<()>>,
        mpsc::Receiver<String>,
        mpsc::Receiver<u64>,
    ) {
        let (opener, open) = mpsc::channel();
        let (written, lines) = mpsc::channel();
        let (report, reports) = mpsc::channel();
        let report = move |dropped| report.send(dropped).unwrap();
        let queue = Queue::start(Gate { open, written }, report).unwrap();
        (queue, opener, lines, reports)
    }

    #[test]
    fn lines_are_written_in_order_and_a_flush_waits_for_them() {
        let (queue, opener, lines, _) = gate();
        drop(opener);
        let mut expected = String::new();
        for number in 0..1000 {
            let line = format!("{number}\n");
            queue.push(line.as_bytes());
            expected.push_str(&line);
        }
        queue.flush(PATIENCE);
        assert_eq!(lines.try_iter().collect::<String>(), expected);
    }

    #[test]
    fn a_sink_that_hangs_delays_nobody_and_the_dropped_lines_are_reported_once() {
        let (queue, opener, lines, reports) = gate();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        for _ in 0..20_000 {
            queue.push(&line);
        }
        queue.flush(Duration::from_millis(10));
        assert_eq!(lines.try_iter().count(), 0);
        drop(opener);
        let dropped = reports.recv_timeout(PATIENCE).unwrap();
        queue.flush(PATIENCE);
        let written: usize = lines.try_iter().map(|it| it.lines().count()).sum();
        assert_eq!(written + usize::try_from(dropped).unwrap(), 20_000);
        assert!(written <= 2 * LIMIT / 1024 + 1, "{written}");
        queue.push(b"later\n");
        queue.flush(PATIENCE);
        assert_eq!(lines.try_iter().collect::<String>(), "later\n");
        assert!(reports.try_recv().is_err());
    }

    #[test]
    fn lines_that_a_sink_refuses_are_reported_when_it_accepts_one_again() {
        let (queue, opener, lines, reports) = gate();
        for _ in 0..3 {
            opener.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
            queue.push(b"refused\n");
            queue.flush(PATIENCE);
        }
        assert!(reports.try_recv().is_err());
        drop(opener);
        queue.push(b"taken\n");
        queue.flush(PATIENCE);
        assert_eq!(lines.try_iter().collect::<String>(), "taken\n");
        assert_eq!(reports.try_recv(), Ok(3));
    }
}
