//! Long passes over entries, in which the other loops still work.

/// After how many entries the others may work: a pass over so many takes some milliseconds.
const ENTRIES: usize = 1_000;

/// Counts the entries of a pass. All loops share one thread: without it, the lease would run out, delayed jobs
/// would wait and signals would not be answered while a million entries are put in force.
#[derive(Default)]
pub(super) struct Breath(usize);

impl Breath {
    /// Counts one entry; now and then, lets the other loops work.
    pub(super) async fn entry(&mut self) {
        self.entries(1).await;
    }

    /// Counts one entry that takes as long as so many others.
    pub(super) async fn entries(&mut self, number: usize) {
        self.0 += number;
        if self.0 >= ENTRIES {
            self.0 = 0;
            tokio::task::yield_now().await;
        }
    }
}
