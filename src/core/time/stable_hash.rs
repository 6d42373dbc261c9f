//! A hash that is the same for ever, in every version and on every machine: schedulers of different
//! versions must choose the same random fields and delays.

/// Where a hash begins.
pub const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// Goes on with `hash` over `bytes`: FNV-1a.
pub fn extend(hash: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
