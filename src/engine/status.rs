//! What an engine tells of itself.

use super::{Engine, QueueReport, reentrancy};
use crate::{base::SeqNo, recovery::RecoveryReport};
use serde::Serialize;

/// The end of the durable log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ChainHead {
    /// The number of the last durable group; 0 before the first.
    pub group: u64,
    /// BLAKE3 of that group, which holds the digest of the one before; zeros before the first.
    pub digest: [u8; 32],
}

impl Engine {
    /// The last durable entry; 0 before the first. What is read after this call shows at least that much.
    #[must_use]
    pub fn durable_seq(&self) -> SeqNo {
        self.core().durable()
    }

    /// Where the chain of the log stands, which carries each group's digest into the next: kept outside of the directory it
    /// shows later that nothing before it was changed. It is not keyed: it does not stop an owner who rewrites everything.
    ///
    /// ```
    /// use steadfast::{Engine, Expect, Keyspace, Request};
    ///
    /// const NAMES: Keyspace<u32, String> = Keyspace::new("names");
    ///
    /// let engine = Engine::in_memory()?;
    /// let before = engine.chain_head();
    /// engine.commit(Request::unkeyed().put(&NAMES, &1, &"one".to_owned(), Expect::Any))?.committed()?;
    /// assert!(engine.chain_head().group > before.group);
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    #[must_use]
    pub fn chain_head(&self) -> ChainHead {
        reentrancy::assert_outside("chain_head");
        let head = self.core().sequencer.lock().head;
        ChainHead { group: head.g, digest: head.chain }
    }

    /// What waits for the disk now, and the most that ever did.
    ///
    /// ```
    /// let engine = steadfast::Engine::in_memory()?;
    /// let queue = engine.queue();
    /// assert_eq!((queue.requests, queue.most_requests, queue.limit_requests), (0, 0, 16_384));
    /// # Ok::<(), steadfast::Error>(())
    /// ```
    #[must_use]
    pub fn queue(&self) -> QueueReport {
        reentrancy::assert_outside("queue");
        self.core().sequencer.lock().queue()
    }

    /// What the opening of this engine found, did and proved.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.core().recovery
    }
}
