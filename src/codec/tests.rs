//! Tests of the module as a whole; the parts are in the folder of this name.

mod inference;
mod keys;
mod keyspaces;
mod ranges;
mod values;
