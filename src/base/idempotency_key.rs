//! The name under which an outcome is remembered.

use super::{
    Bytes, LimitError, LogTime,
    limits::{IDEMPOTENCY_PART_BYTES, check},
};
use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// Stands for a key where the key itself is no longer kept: BLAKE3 of its bytes, cut to 128 bits.
pub type KeyHash = [u8; 16];

/// A scope (tenant, user, provider) and a key the client chose within it, each 1..=255 opaque bytes.
///
/// Two keys are the same when their bytes are. A key that says when it was made ([`time_ordered`](Self::time_ordered),
/// [`from_uuid`](Self::from_uuid)) can be refused once it is so old that its outcome may have been forgotten; another
/// one would be carried out again.
///
/// ```
/// let key = steadfast::IdempotencyKey::new("store-4", 77u64.to_be_bytes())?;
/// assert_eq!(key.scope(), b"store-4");
/// # Ok::<(), steadfast::LimitError>(())
/// ```
#[derive(Clone)]
pub struct IdempotencyKey {
    bytes: Bytes,
    hash: KeyHash,
    time: Option<LogTime>,
}

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
        Ok(Self::of(bytes.into(), None))
    }

    /// Makes a key that says when it was made, in milliseconds since the Unix epoch: eight bytes of that, then `key`, up to
    /// 247 bytes.
    ///
    /// ```
    /// let key = steadfast::IdempotencyKey::time_ordered("store-4", 1_790_000_000_000, 77u64.to_be_bytes())?;
    /// assert_eq!(key.key().len(), 16);
    /// # Ok::<(), steadfast::LimitError>(())
    /// ```
    ///
    /// # Errors
    /// [`LimitError`] when the scope is empty or longer than 255 bytes, or the key longer than 247.
    pub fn time_ordered(
        scope: impl AsRef<[u8]>,
        unix_millis: u64,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, LimitError> {
        let whole = [&unix_millis.to_be_bytes()[..], key.as_ref()].concat();
        Ok(Self { time: Some(made(unix_millis)), ..Self::new(scope, whole)? })
    }

    /// Makes a key of a UUID. One of version 7 says when it was made; of another version it is as good as any other key.
    ///
    /// ```
    /// // 0x019a_…_7…: version 7, made in November 2025.
    /// let key = steadfast::IdempotencyKey::from_uuid("store-4", 0x019a_5c3e_1c00_7abc_9def_0123_4567_89ab)?;
    /// assert_eq!(key.made_at().map(|time| time.get() / 1_000_000), Some(0x019a_5c3e_1c00));
    /// # Ok::<(), steadfast::LimitError>(())
    /// ```
    ///
    /// # Errors
    /// [`LimitError`] when the scope is empty or longer than 255 bytes.
    pub fn from_uuid(scope: impl AsRef<[u8]>, uuid: u128) -> Result<Self, LimitError> {
        const VERSION: u128 = 0xF << 76;
        const VARIANT: u128 = 0b11 << 62;
        let seventh = uuid & (VERSION | VARIANT) == (7 << 76) | (0b10 << 62);
        let time = seventh.then(|| made((uuid >> 80) as u64));
        Ok(Self { time, ..Self::new(scope, uuid.to_be_bytes())? })
    }

    /// Reads the form that [`as_bytes`](Self::as_bytes) gives. When the key was made is not part of it.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Option<Self> {
        let scope = usize::from(*bytes.first()?);
        let key = bytes.len().checked_sub(1 + scope)?;
        let well_formed = scope > 0 && (1..=IDEMPOTENCY_PART_BYTES).contains(&key);
        well_formed.then(|| Self::of(bytes, None))
    }

    fn of(bytes: Bytes, time: Option<LogTime>) -> Self {
        let hash = key_hash(&bytes);
        Self { bytes, hash, time }
    }

    /// Length of the scope (one byte), scope, key: sorts by scope length, then scope, then key.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> &[u8] {
        &self.bytes[1..=usize::from(self.bytes[0])]
    }

    /// The key within the scope.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.bytes[1 + usize::from(self.bytes[0])..]
    }

    /// When the key was made, if it says so.
    #[must_use]
    pub fn made_at(&self) -> Option<LogTime> {
        self.time
    }

    /// What is left of the key when its outcome is a stub.
    #[must_use]
    pub(crate) fn hash(&self) -> &KeyHash {
        &self.hash
    }
}

/// What is left of a key, given as its bytes, when its outcome is a stub.
pub(crate) fn key_hash(bytes: &[u8]) -> KeyHash {
    let mut hash = [0; 16];
    hash.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
    hash
}

fn made(unix_millis: u64) -> LogTime {
    LogTime::new(unix_millis.saturating_mul(1_000_000))
}

impl PartialEq for IdempotencyKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for IdempotencyKey {}

impl PartialOrd for IdempotencyKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for IdempotencyKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl Hash for IdempotencyKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({}+{} bytes)", self.scope().len(), self.key().len())
    }
}
