//! Between bytes and the words of `base`: every layout this crate writes, and nothing else knows a byte offset.

pub(crate) mod bytes;
pub(crate) mod rows;
