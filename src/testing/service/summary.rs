//! What an exploration did, so that one that explored nothing does not look like a pass.

use serde::Serialize;
use std::fmt;

/// Counts of an exploration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Changing calls to the disk that the work makes when nothing disturbs it, from opening to closing.
    pub ios: u64,
    /// Points at which the power was cut.
    pub crashes: u64,
    /// Ways in which a disk came up after that.
    pub disks: u64,
    /// Different disks among those: each was opened, checked, worked on, and checked again.
    pub images: u64,
    /// Openings after a crash.
    pub openings: u64,
    /// Those of them that found a torn tail.
    pub torn_tails: u64,
    /// Calls of the service's check.
    pub checks: u64,
    /// Times the service went on with its work after a crash.
    pub restarts: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ios, crashes, disks, images, openings, torn_tails, checks, restarts } = self;
        write!(
            f,
            "{ios} I/Os, {crashes} crashes, {disks} disks ({images} images), {openings} openings, {torn_tails} torn \
             tails, {checks} checks, {restarts} restarts"
        )
    }
}
