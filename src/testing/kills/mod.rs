//! Real processes on real files, killed with SIGKILL at random moments, and what they said before held against the
//! [model](super::model).
//!
//! A [`Campaign`] starts a child that opens a database, works on it with several threads, and tells through a pipe what
//! it is about to ask and, after the engine answered, what the answer was. The parent kills it after a random number of
//! acknowledgements and a random short delay, or while it is opening the database, starts the next, and now and then
//! opens the directory itself and checks:
//!
//! 1. it opens, nothing that was acknowledged or shown is missing, and the number of the opening is new;
//! 2. opened again, it is the same state by its digest, and closed cleanly;
//! 3. every request in doubt was carried out as a whole or not at all, which a retry under its key tells;
//! 4. the requests that were carried out, in the order of their entries, each had to be carried out by the model, and its
//!    records are those that were recovered, with their versions;
//! 5. each refusal was due at some moment between its request and its answer;
//! 6. each version that anyone named or was shown belongs to an entry that is still there;
//! 7. a retry of every key gives the first answer, byte for byte, and a key is carried out once.
//!
//! A [`Fight`] starts several children for one directory; see there.
//!
//! The choices come from a seed, but the moment at which a kill strikes is the operating system's: a run is not repeated
//! exactly by its seed. So a directory on which a check failed is kept.

mod books;
mod campaign;
mod check;
mod child;
mod contender;
mod fight;
mod life;
mod order_text;
mod problem;
mod protocol;
mod runs;
mod summary;
mod work;

pub use campaign::Campaign;
pub use child::{CHILD_VARIABLE, child};
pub use fight::Fight;
pub use problem::Failure;
pub use summary::{FightSummary, Summary};
