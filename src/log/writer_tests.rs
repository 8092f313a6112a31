use super::*;
use crate::log::sample::{GENESIS, NOTHING, Sample, UUID};

#[test]
fn groups_say_what_was_durable_when_they_were_built() {
    let sample = Sample::two_segments();
    let seen: Vec<_> = sample
        .groups()
        .iter()
        .map(|placed| (placed.segment, placed.offset / BLOCK, placed.header.durable_g))
        .collect();
    // A segment's first two groups, its `Link` and the one that made it necessary, share a sync.
    assert_eq!(
        seen,
        [(2, 2, 0), (2, 3, 0), (2, 4, 2), (2, 5, 3), (3, 2, 4), (3, 3, 4), (3, 4, 6), (3, 5, 7)]
    );
}

#[test]
fn a_link_records_where_the_segment_before_ended() {
    let mut sample = Sample::two_segments();
    sample.reopen();
    sample.append(10);
    let links: Vec<_> = sample
        .groups()
        .iter()
        .filter(|placed| placed.header.kind == Kind::Link)
        .map(|placed| Link::decode(&placed.bytes[HEADER..]).unwrap())
        .collect();
    let link = |previous, blocks, epoch, after_crash| Link {
        previous,
        end: DATA + blocks * BLOCK,
        epoch: Epoch::new(epoch),
        after_crash,
    };
    assert_eq!(links, [link(1, 0, 1, false), link(2, 4, 1, false), link(3, 4, 2, true)]);
}

#[test]
fn without_room_and_without_a_segment_nothing_is_written() {
    let mut sample = Sample::new();
    let none = Sealing { first_seq: SeqNo::new(1), last_seq: SeqNo::new(1), entries: 1, digest: 0 };
    assert_eq!(sample.writer.room(), 0);
    assert!(sample.writer.append(&mut vec![0; HEADER], none, None).is_err());
    // From here on nobody knows which segment is in use.
    assert_eq!(sample.writer.trimmable(u64::MAX), None);
    assert_eq!(sample.writer.position(), GENESIS);
    assert_eq!(sample.bytes(1, DATA), vec![0; 4 * BLOCK as usize]);
}

#[test]
fn segments_can_go_once_all_their_groups_are_settled() {
    let mut sample = Sample::two_segments();
    let trimmable = |sample: &Sample, g| sample.writer.trimmable(g).expect("nothing failed");
    assert_eq!(trimmable(&sample, 0), (vec![1], 2));
    assert_eq!(trimmable(&sample, 3), (vec![1], 2));
    assert_eq!(trimmable(&sample, 4), (vec![1, 2], 3));
    // The segment in use stays, whatever is settled.
    assert_eq!(trimmable(&sample, u64::MAX), (vec![1, 2], 3));
    sample.writer.forget(&[1]);
    assert_eq!(trimmable(&sample, 3), (vec![], 2));
    assert_eq!(trimmable(&sample, 8), (vec![2], 3));
    sample.append(10);
    assert_eq!(trimmable(&sample, 8), (vec![2, 3], 4));
    sample.writer.forget(&[2, 3]);
    assert_eq!((trimmable(&sample, 8), sample.writer.next_segment()), ((vec![], 4), 5));
}

#[test]
fn the_marker_names_the_end() {
    let mut sample = Sample::two_segments();
    sample.writer.mark_clean(UUID).unwrap();
    let mut bytes = vec![0; crate::format::clean::BYTES];
    sample.disk.open(names::CLEAN).unwrap().read_exact_at(0, &mut bytes).unwrap();
    let Position { g, chain, segment, end } = sample.groups()[7].position();
    let clean = Clean::decode(&bytes);
    assert_eq!(clean, Some(Clean { uuid: UUID, g, segment, end, chain }));
    let known = crate::log::scan::Known { clean, ..NOTHING };
    let scanned =
        crate::log::scan::scan(&sample.segments, &known, &mut |_| Ok::<(), ()>(())).unwrap();
    assert_eq!(scanned.accepted, sample.writer.position());
}

/// The order of calls, as golden text.
#[cfg(feature = "testing")]
mod order {
    use super::*;
    use crate::disk::{Repeat, SimDisk};

    fn simulated() -> (SimDisk, Sample) {
        let disk = SimDisk::new();
        let sample = Sample::on(Arc::new(disk.clone()));
        disk.clear_trace();
        (disk, sample)
    }

    /// The calls since the last look, with segments under their plain numbers.
    fn calls(disk: &SimDisk) -> Vec<String> {
        let calls = disk.trace();
        disk.clear_trace();
        calls.iter().map(|call| call.replace("000000000000000000", "")).collect()
    }

    /// As an opening finds it: a marker, and a writer that knows of it.
    fn reopened(sample: &Sample) -> Writer {
        let (position, last_g) = (sample.writer.position(), sample.writer.last_g.clone());
        Writer::new(sample.disk.clone(), Epoch::new(2), position, false, true, last_g, 0)
    }

    #[test]
    fn a_new_segment_costs_no_second_sync() {
        let (disk, mut sample) = simulated();
        sample.append(100);
        assert_eq!(
            calls(&disk),
            [
                "remove segments/spare-02 failed: NotFound",
                "create segments/spare-02",
                "write segments/spare-02 0+24576",
                "write segments/spare-02 0+8192",
                "sync segments/spare-02",
                "rename segments/spare-02 segments/02",
                "sync_dir segments",
                "create segments/newest-02",
                "sync_dir segments",
                "remove segments/newest-01",
                "write segments/02 8192+8192",
                "sync segments/02",
            ]
        );
        sample.append(100);
        assert_eq!(calls(&disk), ["write segments/02 16384+4096", "sync segments/02"]);
    }

    #[test]
    fn without_room_for_another_note_the_one_before_becomes_it() {
        let (disk, mut sample) = simulated();
        let next = sample.prepare();
        calls(&disk);
        disk.fill_up_at(disk.allocation_count() + 1, Repeat::Forever);
        sample.writer.begin(next, SeqNo::new(1)).unwrap();
        assert_eq!(
            calls(&disk),
            [
                "rename segments/spare-02 segments/02",
                "sync_dir segments",
                "create segments/newest-02 failed: StorageFull",
                "rename segments/newest-01 segments/newest-02",
                "sync_dir segments",
                "write segments/02 8192+4096",
                "sync segments/02",
            ]
        );
    }

    #[test]
    fn the_marker_is_whole_before_it_has_its_name() {
        let (disk, mut sample) = simulated();
        sample.append(100);
        calls(&disk);
        sample.writer.mark_clean(UUID).unwrap();
        let marking = [
            "create CLEAN.new",
            "write CLEAN.new 0+84",
            "sync CLEAN.new",
            "rename CLEAN.new CLEAN",
            "sync_dir .",
        ];
        assert_eq!(calls(&disk), marking);
        // A marker that was never finished is in no one's way.
        let _unfinished = disk.create(names::CLEAN_NEW).unwrap();
        calls(&disk);
        sample.writer.mark_clean(UUID).unwrap();
        let again = ["create CLEAN.new failed: AlreadyExists", "remove CLEAN.new"];
        assert_eq!(calls(&disk), [&again[..], &marking].concat());
    }

    #[test]
    fn the_marker_goes_before_anything_is_written() {
        let (disk, mut sample) = simulated();
        sample.append(100);
        sample.writer.mark_clean(UUID).unwrap();
        sample.writer = reopened(&sample);
        let next = sample.prepare();
        calls(&disk);
        sample.writer.begin(next, SeqNo::new(9)).unwrap();
        assert_eq!(
            calls(&disk),
            [
                "remove CLEAN",
                "sync_dir .",
                "rename segments/spare-03 segments/03",
                "sync_dir segments",
                "create segments/newest-03",
                "sync_dir segments",
                "remove segments/newest-02",
                "write segments/03 8192+4096",
                "sync segments/03",
            ]
        );
    }

    #[test]
    fn a_run_that_wrote_nothing_leaves_the_marker_alone() {
        let (disk, mut sample) = simulated();
        sample.append(100);
        sample.writer.mark_clean(UUID).unwrap();
        calls(&disk);
        reopened(&sample).mark_clean(UUID).unwrap();
        assert_eq!(calls(&disk), [""; 0]);
    }

    #[test]
    fn nothing_follows_a_failed_call() {
        let beginning = [
            "rename segments/spare-02 segments/02",
            "sync_dir segments",
            "create segments/newest-02",
            "sync_dir segments",
            "remove segments/newest-01",
            "write segments/02 8192+4096",
            "sync segments/02",
        ];
        for call in 1..=beginning.len() {
            let (disk, mut sample) = simulated();
            let next = sample.prepare();
            calls(&disk);
            disk.fail_call(disk.io_count() + call as u64, io::ErrorKind::Other, Repeat::Once);
            sample.writer.begin(next, SeqNo::new(1)).unwrap_err();
            let failed = format!("{} failed: Other", beginning[call - 1]);
            let made = [&beginning[..call - 1], &[&failed[..]]].concat();
            assert_eq!(calls(&disk), made);
        }
    }
}

#[test]
fn when_the_numbers_of_groups_are_used_up_nothing_is_written() {
    for (g, written) in
        [(u64::MAX - 3, true), (u64::MAX - 2, false), (u64::MAX - 1, false), (u64::MAX, false)]
    {
        let mut sample = Sample::new();
        let next = sample.prepare();
        let position = Position { g, ..GENESIS };
        let (disk, last_g) = (sample.disk.clone(), BTreeMap::from([(1, g)]));
        let mut writer = Writer::new(disk, Epoch::new(1), position, false, false, last_g, 0);
        let seq = SeqNo::new(1);
        let sealing = Sealing { first_seq: seq, last_seq: seq, entries: 1, digest: 0 };
        // A link and a group: two numbers.
        let appended = writer.append(&mut vec![0; HEADER + 5], sealing, Some(next));
        match &appended {
            Ok(position) => assert_eq!(position.g, u64::MAX - 1),
            Err(failed) => assert!(!failed.written && failed.error.to_string().contains("numbers")),
        }
        assert_eq!(appended.is_ok(), written, "after group {g}");
        assert_eq!(sample.bytes(2, DATA)[0] != 0, written);
    }
}
