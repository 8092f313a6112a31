//! Errors that are not the log's: of the disk, and of whoever takes the groups.

use super::*;
use crate::disk::File;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

/// A file whose reads fail when so many were made.
#[derive(Debug)]
struct Failing {
    file: Arc<dyn File>,
    left: Arc<AtomicU32>,
}

impl File for Failing {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let counted = self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        counted.map_err(|_| io::Error::other("a bad sector"))?;
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<usize> {
        unreachable!("a scan changes nothing")
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        unreachable!("a scan changes nothing")
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        unreachable!("a scan changes nothing")
    }

    fn drop_cache(&self) -> io::Result<()> {
        unreachable!("a scan changes nothing")
    }
}

fn scan_with(sample: &Sample, reads: u32, known: &Known) -> Result<Scanned, ScanError<()>> {
    let left = Arc::new(AtomicU32::new(reads));
    let mut segments = sample.segments.clone();
    for segment in segments.values_mut() {
        segment.file = Arc::new(Failing { file: segment.file.clone(), left: left.clone() });
    }
    scan(&segments, known, &mut |_| Ok(()))
}

/// A read that fails is neither a torn tail nor corruption, whatever else is wrong.
#[test]
fn a_failed_read_is_nothing_but_that() {
    let sample = Sample::two_segments();
    let groups = sample.groups();
    for (x, known) in [(7, NOTHING), (7, known::clean(&groups, 8)), (5, NOTHING)] {
        damaged(&sample, &groups[x..=x], Damage::FlipHeader, || {
            let mut reads = 0;
            while let Err(ScanError::Io { error, .. }) = scan_with(&sample, reads, &known) {
                assert_eq!(error.to_string(), "a bad sector");
                reads += 1;
            }
            // Each segment's `Link`, then the segments that have groups, then what is behind the end.
            assert_eq!(reads, 3 + 1 + u32::from(x != 4) + 1, "group {}", x + 1);
        });
    }
}

#[test]
fn whoever_takes_the_groups_can_stop() {
    let sample = Sample::two_segments();
    for stop in 1..=8 {
        let mut taken = Vec::new();
        let result = scan(&sample.segments, &NOTHING, &mut |group| {
            taken.push(group.header.g);
            if group.header.g == stop { Err(stop) } else { Ok(()) }
        });
        assert!(matches!(result, Err(ScanError::Consumer(g)) if g == stop));
        assert_eq!(taken, (1..=stop).collect::<Vec<_>>());
    }
}

/// The reads of a long segment go through a window: groups across its edges are whole all the same.
#[test]
#[cfg_attr(miri, ignore = "megabytes take Miri minutes")]
fn a_segment_longer_than_the_window() {
    let mut sample = Sample::new();
    let long = crate::log::segments::prepare(
        &*sample.disk,
        crate::log::sample::UUID,
        2,
        4 << 20,
        0xfeed_0002,
    )
    .unwrap();
    sample.segments.insert(2, long.clone());
    sample.writer.begin(long, SeqNo::new(1)).unwrap();
    for len in [700_000, 5_000, 700_000, 4_096 - 128, 1 << 20, 1] {
        sample.append(len);
    }
    let groups = sample.groups();
    assert_eq!(groups.len(), 7);
    let whole = Seen::Accepted(groups[6].position(), Torn::default());
    assert_eq!(look(&sample, &groups, &NOTHING), whole);
}
