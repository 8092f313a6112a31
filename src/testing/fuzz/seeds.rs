//! Where the corpora begin: inputs made from what the engine writes.

/// An input that a corpus holds, by the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The name of the target, see [`TARGETS`](super::TARGETS).
    pub target: &'static str,
    /// The name of the file.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The seeds of every target, the same every time.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    Vec::new()
}
