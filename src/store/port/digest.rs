//! Digests of texts that Redis and we hold.

/// The SHA-1 of `json` in hexadecimal digits: who knows a text sees by it that Redis has the same.
pub fn digest(json: &[u8]) -> String {
    sha1_smol::Sha1::from(json).digest().to_string()
}
