//! Layers of rows, each in order, merged into the records there are: the first layer that knows a key is right about it.

use super::error::Error;
use crate::{
    base::{Bytes, Row},
    codec::ByteRange,
};
use std::{collections::VecDeque, ops::RangeBounds};

/// Rows fetched from one layer at a time; no lock is held in between.
pub(super) const CHUNK: usize = 64;

/// The next rows of a layer; `None` for a removed record.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub rows: VecDeque<(Bytes, Option<Row>)>,
    /// Whether there are none after these.
    pub done: bool,
}

/// Where rows come from.
pub(super) trait Layers {
    /// The first rows of layer `layer` in what is left of the range, from one end.
    fn fetch(&mut self, layer: usize, range: &ByteRange, reverse: bool) -> Result<Chunk, Error>;
}

/// The next rows of each of `N` layers, from one end.
#[derive(Debug)]
pub(super) struct Merge<const N: usize> {
    reverse: bool,
    layers: [Chunk; N],
    /// Keys that were looked at.
    walked: usize,
}

impl Chunk {
    /// Rows that were fetched with a limit of [`CHUNK`].
    pub(super) fn of(rows: VecDeque<(Bytes, Option<Row>)>) -> Self {
        Self { done: rows.len() < CHUNK, rows }
    }

    /// A layer without rows.
    pub(super) const fn none() -> Self {
        Self { rows: VecDeque::new(), done: true }
    }
}

impl<const N: usize> Merge<N> {
    pub(super) fn new(reverse: bool) -> Self {
        Self { reverse, layers: std::array::from_fn(|_| Chunk::default()), walked: 0 }
    }

    /// How many keys were looked at, those of removed records included.
    pub(super) const fn walked(&self) -> usize {
        self.walked
    }

    /// The next record, which leaves the range; none once more than `most` keys were looked at.
    pub(super) fn next(
        &mut self,
        layers: &mut impl Layers,
        range: &mut ByteRange,
        most: usize,
    ) -> Result<Option<(Bytes, Row)>, Error> {
        while self.walked <= most {
            for layer in 0..N {
                self.refill(layer, layers, range)?;
            }
            let Some(key) = self.next_key() else { return Ok(None) };
            if !range.contains(&key[..]) {
                // The other end has been there.
                return Ok(None);
            }
            let seen = self.take(&key);
            range.leave(&key, self.reverse);
            self.walked += 1;
            if let Some(row) = seen {
                return Ok(Some((key, row)));
            }
        }
        Ok(None)
    }

    fn next_key(&self) -> Option<Bytes> {
        let heads = self.layers.iter().filter_map(|chunk| chunk.rows.front()).map(|(key, _)| key);
        if self.reverse { heads.max() } else { heads.min() }.cloned()
    }

    /// Takes the key from every layer that has it; the first is right.
    fn take(&mut self, key: &Bytes) -> Option<Row> {
        let mut seen = None;
        for chunk in &mut self.layers {
            if chunk.rows.front().is_some_and(|(head, _)| head == key) {
                let (_, row) = chunk.rows.pop_front().expect("it has a head");
                seen = seen.or(Some(row));
            }
        }
        seen.flatten()
    }

    fn refill(
        &mut self,
        layer: usize,
        layers: &mut impl Layers,
        range: &ByteRange,
    ) -> Result<(), Error> {
        let chunk = &mut self.layers[layer];
        if !chunk.done && chunk.rows.is_empty() {
            *chunk = if range.is_empty() {
                Chunk::none()
            } else {
                layers.fetch(layer, range, self.reverse)?
            };
        }
        Ok(())
    }
}
