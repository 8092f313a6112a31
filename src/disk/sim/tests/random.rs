//! Random steps on the simulated disk and on the plain one.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Create(u8),
    Write(u8, u64, usize),
    SetLen(u8, u64),
    Sync(u8),
    DropCache(u8),
    Rename(u8, u8),
    Remove(u8),
    SyncDir(bool),
}

fn name(number: u8) -> &'static str {
    ["a", "b", "f/a", "f/b"][usize::from(number % 4)]
}

fn step() -> impl Strategy<Value = Step> {
    let spot = || prop_oneof![0..10_000_u64, Just(512), Just(4_096), Just(8_192)];
    prop_oneof![
        2 => any::<u8>().prop_map(Step::Create),
        4 => (any::<u8>(), spot(), 0..9_000_usize).prop_map(|(f, at, n)| Step::Write(f, at, n)),
        2 => (any::<u8>(), spot()).prop_map(|(f, len)| Step::SetLen(f, len)),
        1 => any::<u8>().prop_map(Step::Sync),
        1 => any::<u8>().prop_map(Step::DropCache),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => any::<u8>().prop_map(Step::Remove),
        1 => any::<bool>().prop_map(Step::SyncDir),
    ]
}

fn take(disk: &dyn Disk, step: &Step, fill: u8) -> io::Result<()> {
    match *step {
        Step::Create(f) => disk.create(name(f)).map(drop),
        Step::Write(f, at, n) => disk.open(name(f))?.write_all_at(at, &vec![fill; n]),
        Step::SetLen(f, len) => disk.open(name(f))?.set_len(len),
        Step::Sync(f) => disk.open(name(f))?.sync_data(),
        Step::DropCache(f) => disk.open(name(f))?.drop_cache(),
        Step::Rename(from, to) => disk.rename(name(from), name(to)),
        Step::Remove(f) => disk.remove(name(f)),
        Step::SyncDir(inner) => disk.sync_dir(if inner { "f" } else { "" }),
    }
}

fn whole(disk: &dyn Disk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(name).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(0, &mut bytes).unwrap();
    Some(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Whatever is done, readers see what the plain memory disk shows; losing nothing shows the same; and once everything
    /// is synced, nothing can be lost.
    #[test]
    fn readers_see_a_plain_disk(steps in proptest::collection::vec(step(), 0..60), seed: u64) {
        let (disk, model) = (SimDisk::new(), crate::disk::MemoryDisk::new());
        disk.create_dir("f").unwrap();
        model.create_dir("f").unwrap();
        for (fill, step) in (1..).zip(&steps) {
            let (did, expected) = (take(&disk, step, fill), take(&model, step, fill));
            prop_assert_eq!(did.map_err(|e| e.kind()), expected.map_err(|e| e.kind()));
        }
        let kept = disk.after_power_cut(&Choice::All);
        let units = disk.pending_units();
        prop_assert_eq!(units, disk.describe_pending().len());
        prop_assert_eq!(view(&disk.after_power_cut(&Choice::Subset(vec![true; units]))), view(&kept));
        let cut = Choice::Seeded(seed);
        prop_assert_eq!(view(&disk.after_power_cut(&cut)), view(&disk.snapshot().after_power_cut(&cut)));
        for number in 0..4 {
            let expected = whole(&model, name(number));
            prop_assert_eq!(whole(&disk, name(number)), expected.clone());
            prop_assert_eq!(whole(&kept, name(number)), expected);
            let _ = take(&disk, &Step::Sync(number), 0);
        }
        disk.sync_dir("f").unwrap();
        disk.sync_dir("").unwrap();
        prop_assert_eq!(disk.pending_units(), 0);
        prop_assert_eq!(view(&disk.after_power_cut(&Choice::Seeded(seed))), view(&kept));
    }
}
