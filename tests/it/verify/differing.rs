//! What does not come out the same is told, with the exact entry.

use super::*;
use crate::support::{MARKER, assert_discreet, key};
use steadfast::{
    Bytes, Deviation, Divergence, Expect, Never, Obstacle, Part, ReplayVerdict, Request, SeqNo,
    Subject, VerifyReport, Version,
    testing::{Choice, MemoryDisk, SimDisk, replay::verify_on, reseal},
};

/// A log of transfers, of which some leave a fee to round.
fn transfers(cents: &[i64]) -> (MemoryDisk, Vec<SeqNo>) {
    let disk = MemoryDisk::new();
    let engine = keeping(&registry()).open_on(disk.clone()).unwrap();
    for (n, account) in ["ann", "bob"].iter().enumerate() {
        let key = key(&format!("deposit-{n}"));
        let deposit = Request::new(key).add(&ACCOUNTS, *account, 10_000, 0..=1_000_000);
        committed(engine.commit(deposit).unwrap());
    }
    let call = |(n, cents): (usize, &i64)| {
        let outcome = engine.call(key(&n.to_string()), &ten("ann", "bob", *cents)).unwrap();
        let seq = engine.durable_seq();
        committed(outcome);
        seq
    };
    let seqs = cents.iter().enumerate().map(call).collect();
    engine.close().unwrap();
    (disk, seqs)
}

/// `transfer` as it is, but for one thing.
macro_rules! changed {
    ($name:ident, |$this:ident, $tx:ident| $code:expr) => {
        #[derive(Serialize, Deserialize)]
        struct $name(Transfer);

        impl Procedure for $name {
            const NAME: &'static str = "transfer";
            const VERSION: u32 = 1;
            type Output = (i64, u64);
            type Rejection = Refused;

            fn run(&self, $tx: &mut Transaction<'_>) -> Result<(i64, u64), Abort<Refused>> {
                let $this = &self.0;
                $code
            }
        }
    };
}

changed!(RoundsUp, |this, tx| transfer(this, (this.cents + 29) / 30, tx));
changed!(Refuses, |this, tx| {
    if this.cents == 90 {
        return Err(Abort::Reject(Refused::Insufficient));
    }
    transfer(this, this.cents / 30, tx)
});
changed!(Tells, |this, tx| {
    let (left, random) = transfer(this, this.cents / 30, tx)?;
    Ok((left + 1, random))
});
changed!(Panics, |this, tx| {
    assert!(this.cents != 90, "not any more");
    transfer(this, this.cents / 30, tx)
});
changed!(Fails, |this, tx| {
    tx.range(&AUDIT, .., usize::try_from(this.cents / 90).unwrap_or(0) + 1_024 * 2)?;
    transfer(this, this.cents / 30, tx)
});
changed!(Signs, |this, tx| {
    let done = transfer(this, this.cents / 30, tx);
    tx.actor("another");
    done
});
changed!(WritesMore, |this, tx| {
    let done = transfer(this, this.cents / 30, tx)?;
    tx.put(&ACCOUNTS, "more", &0)?;
    Ok(done)
});
changed!(NewKeyspace, |this, tx| {
    const OTHER: Keyspace<u64, u64> = Keyspace::new("other");
    tx.get(&OTHER, &1)?;
    transfer(this, this.cents / 30, tx)
});

fn verified_with<P: Procedure>(disk: &MemoryDisk) -> VerifyReport {
    let rules = Registry::new().rules(order_guard(&[])).rules(solvent(-500));
    verify_on(disk.clone(), &rules.procedure::<P>()).unwrap()
}

/// The first entry of a report that came out otherwise, and the first thing in it.
fn first(report: &VerifyReport) -> (&Divergence, &Deviation) {
    // The log knows which rules are others by what is declared of them, and not by their code.
    let others = report.other_rules.count > 0;
    let due = if others { ReplayVerdict::Incomplete } else { ReplayVerdict::Differs };
    assert_eq!(report.verdict, due, "{report}");
    let divergence = report.first_divergence().unwrap();
    (divergence, &divergence.deviations[0])
}

#[test]
fn a_rounding_rule_that_was_changed_is_found_at_the_entry_where_it_matters() {
    // 30 and 60 leave nothing to round.
    let (disk, seqs) = transfers(&[30, 60, 30, 100, 30, 101]);
    let report = verified_with::<RoundsUp>(&disk);
    let (divergence, deviation) = first(&report);
    assert_eq!(divergence.seq, seqs[3]);
    assert_eq!(divergence.subject, Subject::Call { name: "transfer".into(), version: 1 });
    assert_eq!(
        (deviation.part, deviation.keyspace.as_deref()),
        (Part::Operation, Some("accounts"))
    );
    assert!(deviation.key.as_ref().unwrap().starts_with(b"bob"));
    let (recorded, replayed) = deviation.values().unwrap();
    let cents = |bytes: &Bytes| ACCOUNTS.decode(1, bytes).unwrap();
    assert_eq!(cents(recorded), cents(replayed) + 1);
    // One difference does not lead to others: what is logged is what is folded.
    assert_eq!((report.effects_differ.count, report.outcome_differs.count), (2, 0), "{report}");
    assert_eq!(report.exact, report.entries - 2);
    assert!(report.to_string().contains(&format!("the first is {} (a call", seqs[3])), "{report}");
}

#[test]
fn each_part_that_differs_is_named() {
    let (disk, seqs) = transfers(&[30, 90]);
    let deviation = |report: &VerifyReport, seq: usize| {
        let (divergence, deviation) = first(report);
        assert_eq!(divergence.seq, seqs[seq], "{report}");
        deviation.clone()
    };
    let refuses = deviation(&verified_with::<Refuses>(&disk), 1);
    assert_eq!(refuses.part, Part::Outcome);
    assert!(refuses.recorded.starts_with("committed, a result of "), "{refuses}");
    assert!(refuses.replayed.starts_with("rejected: the caller's code refused"), "{refuses}");
    let tells = deviation(&verified_with::<Tells>(&disk), 0);
    assert_eq!((tells.part, tells.values().is_some()), (Part::Outcome, true));
    let signs = verified_with::<Signs>(&disk);
    assert_eq!((deviation(&signs, 0).part, signs.effects_differ.count), (Part::Actor, 2));
    let more = deviation(&verified_with::<WritesMore>(&disk), 0);
    assert_eq!((more.part, &more.recorded[..], more.values()), (Part::Operation, "none", None));
    assert_eq!(deviation(&verified_with::<NewKeyspace>(&disk), 0).part, Part::Keyspaces);
}

#[test]
fn what_cannot_be_run_again_is_told_apart() {
    let (disk, seqs) = transfers(&[30, 90]);
    let none = verify_on(disk.clone(), &Registry::new()).unwrap();
    assert_eq!(none.verdict, ReplayVerdict::Incomplete, "{none}");
    assert_eq!((none.not_replayable.count, none.exact), (2, 2));
    assert_eq!((none.missing[0].version, none.missing[0].entries), (1, 2));
    assert!(none.to_string().contains("version 1 of procedure \"transfer\", 2 entries"), "{none}");
    let other = verify_on(disk.clone(), &Registry::new().procedure::<Transfer2>()).unwrap();
    assert_eq!(other.missing, none.missing);
    let missing = other.first_divergence().unwrap();
    let due = Obstacle::MissingVersion { name: "transfer".into(), version: 1 };
    assert_eq!((missing.seq, missing.obstacle.as_ref()), (seqs[0], Some(&due)));

    let panics = verified_with::<Panics>(&disk);
    let first = panics.first_divergence().unwrap();
    assert_eq!((panics.verdict, first.seq), (ReplayVerdict::Incomplete, seqs[1]));
    assert!(matches!(&first.obstacle, Some(Obstacle::Panicked { what }) if what == "transfer"));
    let fails = verified_with::<Fails>(&disk);
    let first = fails.first_divergence().unwrap();
    assert!(matches!(first.obstacle, Some(Obstacle::Failed { .. })), "{fails}");
    assert_eq!((fails.not_replayable.count, first.seq), (2, seqs[0]));
}

/// Arguments that another program can't read.
#[test]
fn arguments_that_do_not_decode_are_told() {
    #[derive(Serialize, Deserialize)]
    struct Other([String; 9]);
    impl Procedure for Other {
        const NAME: &'static str = "transfer";
        const VERSION: u32 = 1;
        type Output = ();
        type Rejection = Never;
        fn run(&self, _: &mut Transaction<'_>) -> Result<(), Abort> {
            Ok(())
        }
    }
    let (disk, _) = transfers(&[30]);
    let report = verified_with::<Other>(&disk);
    let obstacle = report.first_divergence().unwrap().obstacle.as_ref();
    assert!(matches!(obstacle, Some(Obstacle::Failed { name, .. }) if name == "transfer"));
}

#[test]
fn a_rule_that_was_changed_is_found_at_the_entry_where_it_matters() {
    let disk = MemoryDisk::new();
    let engine = keeping(&registry()).open_on(disk.clone()).unwrap();
    let order = |state: &str| Request::unkeyed().put(&ORDERS, &1, &state.to_owned(), Expect::Any);
    let deposit = |n: i64| Request::unkeyed().put(&ACCOUNTS, "ann", &n, Expect::Any);
    for request in [order("pending"), order("paid"), deposit(0), deposit(-400)] {
        committed(engine.commit(request).unwrap());
    }
    let again = |name: &str, state: &str| {
        Request::new(key(name)).put(&ORDERS, &1, &state.to_owned(), Expect::Any)
    };
    assert!(matches!(engine.commit(again("r1", "other")).unwrap(), Outcome::Rejected(_)));
    let too_much = Request::new(key("r2")).put(&ACCOUNTS, "ann", &-501, Expect::Any);
    assert!(matches!(engine.commit(too_much).unwrap(), Outcome::Rejected(_)));
    engine.close().unwrap();
    let found = |registry: &Registry| {
        let report = verify_on(disk.clone(), registry).unwrap();
        let (divergence, deviation) = first(&report);
        assert_eq!(deviation.part, Part::Outcome, "{report}");
        let counts = (report.outcome_differs.count, report.other_rules.count);
        (divergence.seq.get(), counts, deviation.clone())
    };
    // A guard that allows more, one that allows less, an invariant that is gone, one that came.
    let (seq, count, deviation) =
        found(&Registry::new().rules(order_guard(&["other"])).rules(solvent(-500)));
    assert_eq!((seq, count), (5, (0, 1)));
    assert!(deviation.recorded.contains("can't go from \"paid\" to \"other\""), "{deviation}");
    assert_eq!(deviation.replayed, "committed");
    let none = Rules::of(&ORDERS).guard(Guard::new("state", |_: &String| "pending"));
    let (seq, count, _) = found(&Registry::new().rules(none).rules(solvent(-500)));
    assert_eq!((seq, count), (1, (0, 2)), "creating is not allowed, and nothing else is refused");
    let (seq, count, deviation) = found(&Registry::new().rules(order_guard(&[])));
    assert_eq!((seq, count), (6, (0, 1)));
    assert!(deviation.recorded.starts_with("rejected: \"solvent\" would not hold"), "{deviation}");
    let (seq, count, deviation) =
        found(&Registry::new().rules(order_guard(&[])).rules(solvent(-300)));
    assert_eq!((seq, count), (4, (1, 0)), "only its code is another");
    assert!(deviation.replayed.starts_with("a refusal without a key"), "{deviation}");
    let (seq, count, _) = found(&Registry::new());
    assert_eq!((seq, count), (5, (0, 2)));
}

/// A rule that panics on what it let pass.
#[test]
fn a_rule_that_panics_is_told() {
    let (disk, seqs) = transfers(&[30]);
    let holds = |name: &String, _: &i64| -> Result<(), Violation> {
        assert!(name != "bob", "not bob");
        Ok(())
    };
    let rules = Rules::of(&ACCOUNTS).invariant(Invariant::new("anybody", holds));
    let report = verify_on(disk, &Registry::new().rules(rules).procedure::<Transfer>()).unwrap();
    assert_eq!((report.verdict, report.not_replayable.count), (ReplayVerdict::Incomplete, 2));
    let first = report.first_divergence().unwrap();
    assert!(first.seq < seqs[0]);
    assert_eq!(first.obstacle, Some(Obstacle::Panicked { what: "anybody".into() }));
}

/// Where the record of `forged` is.
const PLACE: u64 = 0x7777_7777_7777_7777;

/// A log whose checksums are right, and whose last entry, a write, says that something else was expected.
fn forged(request: Request, expect: Expect, said: &[u8]) -> VerifyReport {
    let disk = SimDisk::new();
    let engine = keeping(&Registry::new()).open_on(disk.clone()).unwrap();
    let put = |request: Request, text: &str, expect: Expect| {
        committed(engine.commit(request.put(&ORDERS, &PLACE, &text.to_owned(), expect)).unwrap())
    };
    put(Request::unkeyed(), "old", Expect::Any);
    put(request, "new", expect);
    let left = disk.after_power_cut(&Choice::None);
    let names = left.files().into_iter().map(|(name, _)| name);
    let segment = names.filter(|name| name.starts_with("segments/0")).max().unwrap();
    let group = *reseal::groups(&left, &segment).unwrap().last().unwrap();
    let change = |body: &mut [u8]| {
        let key = PLACE.to_be_bytes();
        let at = body.windows(8).rposition(|bytes| bytes == key).unwrap() + 8;
        body[at..at + said.len()].copy_from_slice(said);
    };
    reseal::reseal(&left, &segment, group, change).unwrap();
    verify_on(left, &Registry::new()).unwrap()
}

/// What no digest of the state shows: what was asked.
#[test]
fn an_entry_that_was_never_decided_like_that_is_found() {
    let first_version = Expect::Version(Version::new(1));
    let cases = [
        (forged(Request::unkeyed(), Expect::Any, &[1]), "a refusal without a key"),
        (forged(Request::unkeyed(), first_version, &[3, 0]), "a conflict"),
        (forged(Request::unkeyed(), first_version, &[3, 9]), "nothing: "),
    ];
    for (report, due) in cases {
        let (divergence, deviation) = first(&report);
        assert_eq!((divergence.seq.get(), deviation.part), (2, Part::Outcome), "{report}");
        assert!(deviation.replayed.starts_with(due), "{report}");
    }
    // What a key stands for.
    let report = forged(Request::new(key("k")), Expect::Any, &[2]);
    let (_, deviation) = first(&report);
    assert_eq!((deviation.part, report.effects_differ.count), (Part::Fingerprint, 1), "{report}");
}

#[test]
fn reports_quote_no_value() {
    #[derive(Serialize, Deserialize)]
    struct Write(String);
    #[derive(Serialize, Deserialize)]
    struct Changed(String);
    const TEXTS: Keyspace<String, String> = Keyspace::new("texts");
    macro_rules! writes {
        ($name:ident, $suffix:literal) => {
            impl Procedure for $name {
                const NAME: &'static str = "write";
                const VERSION: u32 = 1;
                type Output = String;
                type Rejection = Never;
                fn run(&self, tx: &mut Transaction<'_>) -> Result<String, Abort> {
                    let text = format!("{}{}", self.0, $suffix);
                    tx.put(&TEXTS, &self.0, &text)?;
                    Ok(text)
                }
            }
        };
    }
    writes!(Write, "");
    writes!(Changed, "!");
    let disk = MemoryDisk::new();
    let registry = Registry::new().procedure::<Write>();
    let engine = keeping(&registry).open_on(disk.clone()).unwrap();
    committed(engine.call(key("a"), &Write(MARKER.into())).unwrap());
    engine.close().unwrap();
    let report = verify_on(disk, &Registry::new().procedure::<Changed>()).unwrap();
    let (divergence, deviation) = first(&report);
    assert_eq!(divergence.deviations.len(), 2, "{report}");
    assert_discreet(&report);
    assert_discreet(divergence);
    assert_discreet(deviation);
    let (recorded, _) = deviation.values().unwrap();
    assert!(recorded.windows(MARKER.len()).any(|bytes| bytes == MARKER.as_bytes()));
}
