//! Crashes the engine at every I/O, brings the disk up in every way a power cut could leave it, and holds what recovery
//! makes of it against the [model](super::model).
//!
//! What is checked for every disk that comes up:
//!
//! 1. it opens: what a power cut leaves is never refused, and nothing panics;
//! 2. the records are those of the model after every acknowledged operation, and possibly some of those whose outcome
//!    nobody was told, in order;
//! 3. opening it again without closing it first, after a kill or a power cut, gives the same state;
//! 4. every retry gets its first answer byte for byte, and what nobody was told is carried out once;
//! 5. versions grow; more operations succeed; after closing, it opens as closed, with all of that still there;
//! 6. the same state comes of a recovery that is itself cut off, at each of its I/Os.
//!
//! What failed is a [`Failure`], which names the [law](super::laws) and prints the [`Case`] that [`Case::run`] runs again;
//! [`Failure::shrink`] leaves steps out.

mod campaign;
mod case;
mod hunt;
mod oracle;
mod session;
mod step;
mod summary;
mod world;

pub use super::laws::Kind;
pub use campaign::{Campaign, lives, trace};
pub use case::{Case, End, Failure};
pub use step::Step;
pub use summary::Summary;
pub use world::Start;
