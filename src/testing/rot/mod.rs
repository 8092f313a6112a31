//! Damages databases at every place in every way, and holds what the engine makes of it against the [model](super::model).
//!
//! A [`Scene`] is a directory in some condition: closed, not closed, torn, with a checkpoint in the middle of its log, in the
//! middle of a change of segments. A [`Damage`] is what a medium, a driver or a hand can do to one of its files. What is
//! checked each time:
//!
//! 1. the records and every remembered outcome are exactly those of the model; or
//! 2. the opening is refused by an error that names the place, and no byte of the directory has changed; or
//! 3. what is read is refused by such an error, and never wrong;
//! 4. nothing panics.
//!
//! What no rule can tell is recognised by itself, not by its effect: the oracle knows where every group of the log lies, finds
//! the first that is not as it was written, and looks for anything left that vouches for it. Only where nothing is may the
//! log end there, exactly there, and the opening must report the cut with its place, if any byte is left of what was cut.
//!
//! ```
//! use steadfast::testing::rot::{Campaign, Scene};
//!
//! let campaign = Campaign { scenes: vec![Scene::Crashed], at_rest: 200, several: 20, ..Campaign::new(1) };
//! let (summary, failures) = campaign.run();
//! assert!(failures.is_empty());
//! assert!(summary.total.exact > 0 && summary.total.refused_at_open > 0);
//! ```

mod author;
mod campaign;
mod case;
mod damage;
mod dice;
mod image;
mod layout;
mod live;
mod oracle;
mod plan;
mod scene;
mod summary;

#[cfg(test)]
mod tests;

pub use campaign::Campaign;
pub use case::{Case, Failure, When, fuzz};
pub use damage::{Block, Damage, DamageKind, Name};
pub use image::FileKind;
pub use oracle::{Found, Kind};
pub use scene::Scene;
pub use summary::{Counts, Summary};
