//! The rejection of those who never reject.

use serde::{Deserialize, Serialize};

/// Has no values: the rejection of requests and closures that never reject. As [`Infallible`](std::convert::Infallible),
/// which serde does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Never {}
