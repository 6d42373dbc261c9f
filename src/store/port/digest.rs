//! Digests, to find out whether Redis has the same text as this process.

/// Returns the SHA-1 of `json` in hexadecimal digits.
pub fn digest(json: &[u8]) -> String {
    sha1_smol::Sha1::from(json).digest().to_string()
}
