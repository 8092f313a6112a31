mod random;

use super::*;
use io::ErrorKind;
use std::collections::BTreeSet;

fn bytes(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    disk.read_file(name).ok()
}

/// Everything a reader can see.
fn view(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let names = disk.files().into_iter();
    names.map(|(name, _)| (name.clone(), disk.read_file(&name).unwrap())).collect()
}

/// A disk with one durable file of `len` bytes of `fill`.
fn with_file(name: &str, fill: u8, len: usize) -> (SimDisk, Arc<dyn File>) {
    let disk = SimDisk::new();
    let file = disk.create(name).unwrap();
    file.write_all_at(0, &vec![fill; len]).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(disk.pending_units(), 0);
    (disk, file)
}

#[test]
fn what_was_synced_survives_every_power_cut() {
    let (disk, file) = with_file("a", 7, 10_000);
    file.write_all_at(100, b"new").unwrap();
    file.sync_data().unwrap();
    let expected = view(&disk);
    for seed in 0..100 {
        assert_eq!(view(&disk.after_power_cut(&Choice::Seeded(seed))), expected);
    }
    assert_eq!(view(&disk.after_power_cut(&Choice::None)), expected);
}

#[test]
fn synced_bytes_without_a_synced_name_are_gone() {
    let disk = SimDisk::new();
    let file = disk.create("a").unwrap();
    file.write_all_at(0, b"x").unwrap();
    file.sync_data().unwrap();
    assert_eq!(disk.describe_pending(), ["create a"]);
    assert_eq!(bytes(&disk.after_power_cut(&Choice::None), "a"), None);
    assert_eq!(bytes(&disk.after_power_cut(&Choice::All), "a").unwrap(), b"x");
    disk.sync_dir("").unwrap();
    assert_eq!(bytes(&disk.after_power_cut(&Choice::None), "a").unwrap(), b"x");
}

#[test]
fn each_sector_is_lost_or_kept_on_its_own() {
    let (disk, file) = with_file("a", b'o', 2_048);
    file.write_all_at(0, &[b'n'; 2_048]).unwrap();
    assert_eq!(disk.pending_units(), 4);
    let sectors = |choice| {
        let after = bytes(&disk.after_power_cut(&choice), "a").unwrap();
        after.chunks(512).map(|sector| char::from(sector[0])).collect::<String>()
    };
    assert_eq!(sectors(Choice::None), "oooo");
    assert_eq!(sectors(Choice::All), "nnnn");
    assert_eq!(sectors(Choice::Only(2)), "oono");
    assert_eq!(sectors(Choice::AllBut(2)), "nnon");
    assert_eq!(sectors(Choice::Subset(vec![true, false, true])), "nono");
}

#[test]
fn a_sector_written_twice_is_one_unit_and_the_last_write_wins() {
    let (disk, file) = with_file("a", b'o', 512);
    file.write_all_at(0, b"1111").unwrap();
    file.write_all_at(2, b"22").unwrap();
    assert_eq!(disk.pending_units(), 1);
    assert_eq!(&bytes(&disk.after_power_cut(&Choice::All), "a").unwrap()[..5], b"1122o");
    let seen: BTreeSet<Vec<u8>> = (0..300)
        .map(|seed| disk.after_power_cut(&Choice::Seeded(seed)))
        .map(|after| bytes(&after, "a").unwrap()[..4].to_vec())
        .collect();
    assert!(seen.contains(&b"1111"[..]), "the stale bytes were never seen");
    assert!(seen.contains(&b"oooo"[..]) && seen.contains(&b"1122"[..]));
}

#[test]
fn a_seed_finds_every_fate_of_a_sector_and_finds_it_again() {
    let (disk, file) = with_file("a", b'o', 512);
    file.write_all_at(0, &[b'n'; 512]).unwrap();
    let fate = |disk: &SimDisk, seed| {
        let after = bytes(&disk.after_power_cut(&Choice::Seeded(seed)), "a").unwrap();
        assert_eq!(bytes(&disk.after_power_cut(&Choice::Seeded(seed)), "a").unwrap(), after);
        let new = after.iter().take_while(|byte| **byte == b'n').count();
        match after[0] {
            _ if new == 512 => "new",
            _ if after.iter().all(|byte| *byte == b'o') => "old",
            _ if after.iter().all(|byte| *byte == 0) => "zero",
            _ if new > 0 && after[new..].iter().all(|byte| *byte == b'o') => "cut",
            _ => "garbage",
        }
    };
    let seen: BTreeSet<_> = (0..300).map(|seed| fate(&disk, seed)).collect();
    assert_eq!(seen, ["cut", "garbage", "new", "old", "zero"].into());
    disk.assume_powersafe("a");
    let seen: BTreeSet<_> = (0..300).map(|seed| fate(&disk, seed)).collect();
    assert_eq!(seen, ["cut", "new", "old"].into());
}

#[test]
fn lengths_and_bytes_are_independent() {
    let (disk, file) = with_file("a", b'o', 512);
    file.write_all_at(512, &[b'n'; 512]).unwrap();
    assert_eq!(disk.describe_pending(), ["sector a 512", "length a 512 -> 1024"]);
    assert_eq!(bytes(&disk.after_power_cut(&Choice::Only(0)), "a").unwrap(), [b'o'; 512]);
    let grown = bytes(&disk.after_power_cut(&Choice::Only(1)), "a").unwrap();
    assert_eq!(grown.len(), 1_024);
    assert!(grown[512..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_shorter_length_may_be_lost_and_what_it_cut_never_comes_back() {
    let (disk, file) = with_file("a", b'o', 2_048);
    file.write_all_at(1_024, &[b'n'; 1_024]).unwrap();
    file.set_len(600).unwrap();
    file.set_len(2_048).unwrap();
    let mut expected = vec![b'o'; 600];
    expected.resize(2_048, 0);
    assert_eq!(bytes(&disk, "a").unwrap(), expected);
    assert_eq!(bytes(&disk.after_power_cut(&Choice::All), "a").unwrap(), expected);
    assert_eq!(bytes(&disk.after_power_cut(&Choice::None), "a").unwrap(), [b'o'; 2_048]);
    file.sync_data().unwrap();
    assert_eq!(bytes(&disk.after_power_cut(&Choice::None), "a").unwrap(), expected);
}

#[test]
fn a_move_appears_whole_or_not_at_all() {
    let (disk, _) = with_file("old", b'o', 1);
    disk.create("temp").unwrap().write_all_at(0, b"n").unwrap();
    disk.open("temp").unwrap().sync_data().unwrap();
    disk.rename("temp", "old").unwrap();
    assert_eq!(disk.describe_pending(), ["create temp", "rename temp old"]);
    let after = |choice| view(&disk.after_power_cut(&choice));
    let file = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    assert_eq!(after(Choice::None), [file("old", b"o")]);
    assert_eq!(after(Choice::Only(0)), [file("old", b"o"), file("temp", b"n")]);
    assert_eq!(after(Choice::Only(1)), [file("old", b"o")], "its source never reached the disk");
    assert_eq!(after(Choice::All), [file("old", b"n")]);
    disk.sync_dir("").unwrap();
    assert_eq!(after(Choice::None), [file("old", b"n")]);
}

#[test]
fn a_removal_may_be_undone() {
    let (disk, _) = with_file("a", b'o', 1);
    disk.remove("a").unwrap();
    assert_eq!(bytes(&disk, "a"), None);
    assert_eq!(bytes(&disk.after_power_cut(&Choice::None), "a").unwrap(), b"o");
    assert_eq!(bytes(&disk.after_power_cut(&Choice::All), "a"), None);
    disk.sync_dir("").unwrap();
    assert_eq!(bytes(&disk.after_power_cut(&Choice::None), "a"), None);
}

#[test]
fn a_folder_that_is_lost_takes_its_files_along() {
    let disk = SimDisk::new();
    disk.create_dir("segments").unwrap();
    disk.create("segments/1").unwrap();
    disk.sync_dir("segments").unwrap();
    assert_eq!(disk.after_power_cut(&Choice::None).list("").unwrap(), []);
    disk.sync_dir("").unwrap();
    assert_eq!(disk.after_power_cut(&Choice::None).files(), [("segments/1".into(), 0)]);
}

#[test]
fn a_move_between_folders_needs_both_synced() {
    let (disk, _) = with_file("a", b'o', 1);
    disk.create_dir("f").unwrap();
    disk.sync_dir("").unwrap();
    disk.rename("a", "f/a").unwrap();
    disk.sync_dir("f").unwrap();
    assert_eq!(disk.after_power_cut(&Choice::None).files(), [("a".into(), 1)]);
    disk.sync_dir("").unwrap();
    assert_eq!(disk.after_power_cut(&Choice::None).files(), [("f/a".into(), 1)]);
    // A later durable change of the name it left makes an unfinished move durable as well.
    disk.rename("f/a", "a").unwrap();
    disk.create("f/a").unwrap();
    disk.sync_dir("f").unwrap();
    let files = disk.after_power_cut(&Choice::None).files();
    assert_eq!(files, [("a".into(), 1), ("f/a".into(), 0)]);
}

#[test]
fn a_kill_keeps_what_is_pending_and_frees_the_lock() {
    let (disk, file) = with_file("a", b'o', 512);
    let _held = disk.lock().unwrap();
    file.write_all_at(0, b"n").unwrap();
    disk.create("b").unwrap();
    let after = disk.after_kill();
    assert_eq!(view(&after), view(&disk));
    assert_eq!((after.pending_units(), after.io_count()), (2, 0));
    let _taken = after.lock().unwrap();
    assert_eq!(disk.lock().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(after.after_power_cut(&Choice::None).files(), [("a".into(), 512)]);
}

#[test]
fn copies_go_their_own_way() {
    let (disk, file) = with_file("a", b'o', 1);
    let copy = disk.snapshot();
    assert_eq!(copy.io_count(), disk.io_count());
    file.write_all_at(0, b"n").unwrap();
    assert_eq!(bytes(&copy, "a").unwrap(), b"o");
    assert_eq!((copy.pending_units(), disk.pending_units()), (0, 1));
    copy.open("a").unwrap().write_all_at(0, b"c").unwrap();
    assert_eq!(bytes(&disk, "a").unwrap(), b"n");
}

#[test]
fn the_power_goes_before_the_call_it_is_to_go_at() {
    let disk = SimDisk::new();
    disk.crash_at(3);
    let file = disk.create("a").unwrap();
    file.write_all_at(0, b"x").unwrap();
    assert_eq!((disk.io_count(), disk.powered_off()), (2, false));
    assert!(is_power_off(&file.sync_data().unwrap_err()));
    assert_eq!((disk.io_count(), disk.powered_off()), (2, true));
    assert!(is_power_off(&file.read_at(0, &mut [0]).unwrap_err()));
    assert!(is_power_off(&disk.lock().unwrap_err()));
    assert!(is_power_off(&disk.list("").unwrap_err()));
    assert!(!is_power_off(&ErrorKind::Other.into()));
    assert_eq!(bytes(&disk.after_power_cut(&Choice::All), "a").unwrap(), b"x");
    assert!(!disk.after_power_cut(&Choice::All).powered_off());
}

#[test]
fn a_planned_error_strikes_once_or_for_ever() {
    let disk = SimDisk::new();
    disk.fail_call(2, ErrorKind::Other, Repeat::Once);
    disk.fail_call(4, ErrorKind::ReadOnlyFilesystem, Repeat::Forever);
    disk.create("1").unwrap();
    assert_eq!(disk.create("2").unwrap_err().kind(), ErrorKind::Other);
    disk.create("3").unwrap();
    for name in ["4", "5"] {
        assert_eq!(disk.create(name).unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    }
    disk.clear_faults();
    disk.create("6").unwrap();
    assert_eq!(disk.files().len(), 3);
    disk.fail_read(disk.read_count() + 1, ErrorKind::Other, Repeat::Once);
    assert!(disk.open("1").is_err());
    assert!(disk.open("1").is_ok());
}

#[test]
fn a_failed_sync_loses_bytes_while_readers_see_them() {
    let (disk, file) = with_file("a", b'o', 512);
    file.write_all_at(0, &[b'n'; 1_024]).unwrap();
    disk.fail_call(disk.io_count() + 1, ErrorKind::Other, Repeat::Once);
    file.sync_data().unwrap_err();
    assert_eq!(disk.pending_units(), 0);
    assert_eq!(bytes(&disk, "a").unwrap(), [b'n'; 1_024]);
    file.sync_data().unwrap();
    assert_eq!(bytes(&disk.after_power_cut(&Choice::All), "a").unwrap(), [b'o'; 512]);
    file.drop_cache().unwrap();
    let seen = bytes(&disk, "a").unwrap();
    assert_eq!((&seen[..512], &seen[512..]), (&[b'o'; 512][..], &[0; 512][..]));
    // Written once more, the bytes bring the lost length back.
    file.write_all_at(512, &[b'm'; 512]).unwrap();
    file.sync_data().unwrap();
    assert_eq!(bytes(&disk.after_power_cut(&Choice::None), "a").unwrap()[512..], [b'm'; 512]);
}

#[test]
fn an_interrupted_sync_loses_nothing() {
    let (disk, file) = with_file("a", b'o', 1);
    file.write_all_at(0, b"n").unwrap();
    disk.fail_call(disk.io_count() + 1, ErrorKind::Interrupted, Repeat::Once);
    assert_eq!(file.sync_data().unwrap_err().kind(), ErrorKind::Interrupted);
    file.sync_data().unwrap();
    assert_eq!(bytes(&disk.after_power_cut(&Choice::None), "a").unwrap(), b"n");
}

#[test]
fn reads_and_writes_can_be_short() {
    let (disk, file) = with_file("a", b'o', 8);
    let call = disk.io_count() + 1;
    disk.inject(Fault { call, effect: Effect::Short(3), repeat: Repeat::Once });
    assert_eq!(file.write_at(0, b"12345").unwrap(), 3);
    assert_eq!(file.write_at(3, b"45").unwrap(), 2);
    let call = disk.read_count() + 1;
    disk.inject_read(Fault { call, effect: Effect::Short(2), repeat: Repeat::Forever });
    let mut seen = [0; 8];
    assert_eq!(file.read_at(0, &mut seen).unwrap(), 2);
    file.read_exact_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"12345ooo");
}

#[test]
fn a_full_disk_takes_what_fits_and_still_overwrites() {
    let (disk, file) = with_file("a", b'o', 100);
    disk.set_capacity(Some(3 * 4_096 + 50));
    assert_eq!((disk.used_bytes(), disk.free_bytes().unwrap()), (4_096, 8_192));
    assert_eq!(file.write_at(90, &[b'n'; 20_000]).unwrap(), 3 * 4_096 - 90);
    assert_eq!(file.write_at(3 * 4_096, b"x").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.free_bytes().unwrap(), 0);
    // A length takes no room, and neither does what is written over.
    file.set_len(100_000).unwrap();
    assert_eq!(file.write_at(90_000, b"x").unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_all_at(0, &[b'm'; 3 * 4_096]).unwrap();
    disk.rename("a", "b").unwrap();
    file.sync_data().unwrap();
    let after = disk.after_power_cut(&Choice::None);
    assert_eq!(after.used_bytes(), 3 * 4_096);
    file.set_len(4_097).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 4_096);
    file.set_len(0).unwrap();
    assert_eq!(disk.used_bytes(), 0);
}

#[test]
fn a_planned_shortage_strikes_only_what_needs_room() {
    let (disk, file) = with_file("a", b'o', 100);
    assert_eq!(disk.allocation_count(), 2);
    disk.fill_up_at(3, Repeat::Once);
    file.write_all_at(0, &[b'n'; 4_096]).unwrap();
    assert_eq!(disk.allocation_count(), 2);
    assert_eq!(file.write_at(4_096, b"x").unwrap_err().kind(), ErrorKind::StorageFull);
    disk.create("b").unwrap();
    disk.fill_up_at(6, Repeat::Forever);
    disk.create_dir("c").unwrap();
    for _ in 0..2 {
        assert_eq!(disk.create("d").unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(file.write_at(4_096, b"x").unwrap_err().kind(), ErrorKind::StorageFull);
    }
    file.sync_data().unwrap();
    disk.remove("b").unwrap();
    assert_eq!(disk.snapshot().allocation_count(), disk.allocation_count());
    disk.after_kill().create("d").unwrap();
    disk.clear_faults();
    disk.create("d").unwrap();
}

#[test]
fn the_trace_tells_the_order_of_calls() {
    let disk = SimDisk::new();
    disk.create_dir("segments").unwrap();
    let file = disk.create("segments/spare-1").unwrap();
    file.set_len(8_192).unwrap();
    disk.rename("segments/spare-1", "segments/1").unwrap();
    file.write_all_at(4_096, &[1; 4_096]).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir("segments").unwrap();
    disk.sync_dir("").unwrap();
    disk.remove("segments/2").unwrap_err();
    let expected = [
        "create_dir segments",
        "create segments/spare-1",
        "set_len segments/spare-1 8192",
        "rename segments/spare-1 segments/1",
        "write segments/1 4096+4096",
        "sync segments/1",
        "sync_dir segments",
        "sync_dir .",
        "remove segments/2 failed: NotFound",
    ];
    assert_eq!(disk.trace(), expected);
    assert_eq!(disk.io_count(), 9);
    disk.clear_trace();
    assert!(disk.trace().is_empty());
}

#[test]
fn damage_reaches_the_medium_and_readers() {
    let (disk, file) = with_file("a", 0b1000, 2_000);
    disk.flip_bit("a", 600, 3).unwrap();
    disk.zero_sector("a", 1_030).unwrap();
    disk.overwrite("a", 1_990, &[9; 100]).unwrap();
    for seen in [bytes(&disk, "a"), bytes(&disk.after_power_cut(&Choice::None), "a")] {
        let seen = seen.unwrap();
        assert_eq!(seen.len(), 2_000);
        assert_eq!((seen[599], seen[600], seen[601]), (8, 0, 8));
        assert_eq!((seen[1_023], seen[1_024], seen[1_535], seen[1_536]), (8, 0, 0, 8));
        assert_eq!((seen[1_989], seen[1_999]), (8, 9));
    }
    disk.make_unreadable("a", 700).unwrap();
    assert!(file.read_exact_at(0, &mut [0; 512]).is_ok());
    assert!(file.read_exact_at(511, &mut [0; 2]).is_err());
    assert!(file.read_exact_at(1_023, &mut [0; 1]).is_err());
    assert!(file.read_exact_at(1_024, &mut [0; 1]).is_ok());
    disk.truncate("a", 10).unwrap();
    assert_eq!(disk.after_power_cut(&Choice::None).files(), [("a".into(), 10)]);
    disk.rename("a", "b").unwrap();
    disk.remove_file("b").unwrap();
    assert_eq!(disk.after_power_cut(&Choice::None).files(), []);
    assert_eq!(disk.flip_bit("b", 0, 0).unwrap_err().kind(), ErrorKind::NotFound);
    disk.plant_file("c", b"planted").unwrap();
    assert_eq!(bytes(&disk.after_power_cut(&Choice::None), "c").unwrap(), b"planted");
}

#[test]
fn a_copy_of_a_large_disk_shares_its_pages() {
    let (disk, file) = with_file("a", 1, 4 << 20);
    let copies: Vec<_> = (0..2_000).map(|_| disk.after_power_cut(&Choice::None)).collect();
    file.write_all_at(0, b"x").unwrap();
    let one = copies[7].snapshot();
    one.open("a").unwrap().write_all_at(0, b"y").unwrap();
    assert!(copies.iter().all(|copy| copy.files() == [("a".to_owned(), 4 << 20)]));
}

#[test]
fn units_that_tell_nothing_are_left_out() {
    let (disk, file) = with_file("a", b'o', 2_048);
    let mut bytes = vec![b'o'; 2_048];
    bytes[600] = b'n';
    file.write_all_at(0, &bytes).unwrap();
    file.write_all_at(2_048, &[0; 512]).unwrap();
    assert_eq!((disk.pending_units(), disk.telling_units()), (6, vec![1, 5]));
    disk.create("b").unwrap();
    assert_eq!(disk.telling_units(), [1, 5, 6]);
}

#[test]
fn the_digest_is_that_of_names_lengths_and_bytes() {
    let (disk, file) = with_file("a", b'o', 512);
    let before = disk.digest();
    file.write_all_at(0, b"n").unwrap();
    assert_ne!(disk.digest(), before);
    assert_eq!(disk.after_power_cut(&Choice::None).digest(), before);
    assert_eq!(disk.after_power_cut(&Choice::All).digest(), disk.digest());
    file.write_all_at(0, b"o").unwrap();
    assert_eq!(disk.digest(), before);
    file.set_len(1_024).unwrap();
    assert_ne!(disk.digest(), before);
    disk.create_dir("f").unwrap();
    let folder = disk.digest();
    file.set_len(512).unwrap();
    assert!(disk.digest() != before && disk.digest() != folder);
}

#[test]
fn a_lie_ends_with_the_power() {
    for lie in [Lie::Files, Lie::Names] {
        let (disk, file) = with_file("a", b'o', 1);
        disk.lie(lie);
        file.write_all_at(0, b"n").unwrap();
        disk.create("b").unwrap();
        file.sync_data().unwrap();
        disk.sync_dir("").unwrap();
        let pending = disk.describe_pending();
        assert_eq!(pending, [if lie == Lie::Files { "sector a 0" } else { "create b" }]);
        let after = disk.after_power_cut(&Choice::All);
        after.create("c").unwrap();
        after.open("a").unwrap().write_all_at(0, b"x").unwrap();
        after.open("a").unwrap().sync_data().unwrap();
        after.sync_dir("").unwrap();
        assert_eq!(after.pending_units(), 0);
    }
}
