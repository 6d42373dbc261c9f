//! Yields to the other loops during a long pass over entries.

/// Number of entries after which a pass yields. A pass over 1,000 entries takes a few milliseconds.
const ENTRIES: usize = 1_000;

/// Counts the entries of a pass and yields from time to time. All loops share one thread. Without yields, while a
/// million entries are put in force, the lease would expire, delayed jobs would wait and signals would get no
/// answer.
#[derive(Default)]
pub(super) struct Breath(usize);

impl Breath {
    /// Counts one entry. Yields to the other loops after every 1,000 entries.
    pub(super) async fn entry(&mut self) {
        self.entries(1).await;
    }

    /// Counts one entry that takes as long as `number` ordinary ones.
    pub(super) async fn entries(&mut self, number: usize) {
        self.0 += number;
        if self.0 >= ENTRIES {
            self.0 = 0;
            tokio::task::yield_now().await;
        }
    }
}
