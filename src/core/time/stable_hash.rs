//! A hash that never changes, in any version and on any machine.
//!
//! Schedulers of different versions must choose the same values for random cron fields and jitter.

/// The initial value of a hash.
pub const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// Returns `hash` continued over `bytes`, by FNV-1a.
pub fn extend(hash: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
