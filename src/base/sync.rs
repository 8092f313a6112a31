//! The locks, atomics and threads of the engine and of the state it serves.
//!
//! They are those of `parking_lot` and of the standard library, unless the crate is built with `cfg(steadfast_shuttle)`: then
//! a test decides which thread goes on at each of them. What is locked by itself, such as a disk, needs none of this.

#[cfg(steadfast_shuttle)]
mod shuttled;

#[cfg(not(steadfast_shuttle))]
pub use parking_lot::{Condvar, Mutex, MutexGuard, ReentrantMutex, RwLock};
#[cfg(not(steadfast_shuttle))]
pub use std::{sync::atomic, thread, thread_local};

#[cfg(steadfast_shuttle)]
pub use shuttle::{sync::atomic, thread, thread_local};
#[cfg(steadfast_shuttle)]
pub use shuttled::{Condvar, Mutex, MutexGuard, ReentrantMutex, RwLock};
