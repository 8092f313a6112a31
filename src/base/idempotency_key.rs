//! The name under which an outcome is remembered.

use super::{
    Bytes, LimitError,
    limits::{IDEMPOTENCY_PART_BYTES, check},
};
use std::fmt;

/// A scope (tenant, user, provider) and a key the client chose within it, each 1..=255 opaque bytes.
///
/// ```
/// let key = steadfast::IdempotencyKey::new("store-4", 77u64.to_be_bytes())?;
/// assert_eq!(key.scope(), b"store-4");
/// # Ok::<(), steadfast::LimitError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(Bytes);

impl IdempotencyKey {
    /// Makes a key of its two parts.
    ///
    /// # Errors
    /// [`LimitError`] when a part is empty or longer than 255 bytes.
    pub fn new(scope: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, LimitError> {
        let (scope, key) = (scope.as_ref(), key.as_ref());
        check("idempotency scope bytes", scope.len(), 1, IDEMPOTENCY_PART_BYTES)?;
        check("idempotency key bytes", key.len(), 1, IDEMPOTENCY_PART_BYTES)?;
        let mut bytes = Vec::with_capacity(1 + scope.len() + key.len());
        bytes.push(scope.len() as u8);
        bytes.extend_from_slice(scope);
        bytes.extend_from_slice(key);
        Ok(Self(bytes.into()))
    }

    /// Reads the form that [`as_bytes`](Self::as_bytes) gives.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Option<Self> {
        let scope = usize::from(*bytes.first()?);
        let key = bytes.len().checked_sub(1 + scope)?;
        (scope > 0 && (1..=IDEMPOTENCY_PART_BYTES).contains(&key)).then_some(Self(bytes))
    }

    /// Length of the scope (one byte), scope, key: sorts by scope length, then scope, then key.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> &[u8] {
        &self.0[1..=usize::from(self.0[0])]
    }

    /// The key within the scope.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.0[1 + usize::from(self.0[0])..]
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({}+{} bytes)", self.scope().len(), self.key().len())
    }
}
