//! A power cut at every I/O: whatever is left of the work, no rule is broken, and the work goes on.

use super::*;
use steadfast::{
    Background,
    testing::{Choice, SimClock, SimDisk, SimEntropy},
};

fn new_disk() -> SimDisk {
    let disk = SimDisk::new();
    // redb updates part of a sector of its header in place, and documents that it needs a medium for that.
    disk.assume_powersafe("checkpoint.redb");
    disk
}

fn open(disk: &SimDisk) -> Result<Engine, Error> {
    let builder = builder().clock(SimClock::new(1_700_000_000_000_000_000, 1_000));
    builder.entropy(SimEntropy::new(1)).background(Background::Manual).open_on(disk.clone())
}

/// Captures and refunds in every way, with what is refused in between; some of it on cold records.
fn work(engine: &Engine) -> Result<(), Error> {
    for (n, way) in WAYS.into_iter().enumerate() {
        let n = n as u64 + 1;
        let payment = |captured| Payment { cents: 5, captured, entry: n, order: n };
        let entry = Entry { payment: n, cents: 5 };
        let step = |name: &str, ops: &[Op]| way.run(engine, key(&format!("{n}-{name}")), ops);
        let order = |fulfilled| Op::Order(n, Some(Order { fulfilled, payment: n }));
        let capture = [Op::Payment(n, Some(payment(true))), Op::Entry(n, Some(entry))];
        assert!(step("early", &capture[..1])?.is_err());
        assert_eq!(step("capture", &capture)?, Ok(()));
        assert_eq!(step("fulfill", &[order(true)])?, Ok(()));
        engine.checkpoint()?;
        assert!(step("unbook", &[Op::Entry(n, None)])?.is_err());
        let open = Op::Payment(n, Some(payment(false)));
        assert!(step("reopen", std::slice::from_ref(&open))?.is_err());
        if n > 1 {
            assert_eq!(step("refund", &[order(false), open, Op::Entry(n, None)])?, Ok(()));
        }
    }
    Ok(())
}

fn assert_whole(engine: &Engine) {
    let books = Books::of(engine);
    assert_eq!(books.broken(), [], "{books:?}");
    let report = engine.audit().unwrap();
    assert!(report.holds(), "{report:?}");
}

#[test]
fn every_crash_leaves_every_rule_kept() {
    let whole = new_disk();
    work(&open(&whole).unwrap()).unwrap();
    let (mut crashes, mut partial) = (0, 0);
    for crash_at in 1..=whole.io_count() {
        let disk = new_disk();
        disk.crash_at(crash_at);
        if let Ok(engine) = open(&disk) {
            let _ = work(&engine);
        }
        assert!(disk.powered_off());
        crashes += 1;
        for choice in [Choice::None, Choice::All, Choice::Seeded(crash_at)] {
            let disk = disk.after_power_cut(&choice);
            let engine = open(&disk).unwrap();
            assert_whole(&engine);
            partial += u64::from(engine.get(&PAYMENTS, &1).unwrap().is_some());
            // Whoever was not told asks again.
            work(&engine).unwrap();
            assert_whole(&engine);
            let books = Books::of(&engine);
            assert_eq!((books.entries.len(), books.payments.len()), (1, 3));
        }
    }
    assert!(crashes > 50 && partial > crashes, "{crashes} crashes, {partial} with something left");
}
