//! Fail call k: in a few short scripts every call of the disk fails in turn, in every way a disk can fail, and everything
//! is held against the [laws](super::laws).
//!
//! A script is a [`Plan`] of the [random simulation](super::swarm), and so is a failure.

use super::{
    counts::counts,
    swarm::{Ask, Event, Failure, Plan, Stop, Summary, Trouble, Whose},
};
use std::fmt;

/// More calls than any script makes.
const MOST_CALLS: u16 = 2_000;
/// Failures after which a sweep gives up.
const ENOUGH_FAILURES: usize = 3;

/// What is done while calls fail, and what before.
#[derive(Clone, Debug)]
pub struct Script {
    /// In a word.
    pub name: &'static str,
    before: Vec<Event>,
    under: Vec<Event>,
}

/// How calls fail.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// What goes wrong.
    pub trouble: Trouble,
    /// Whether it goes on.
    pub forever: bool,
}

counts! {
    /// What a sweep did.
    #[derive(Copy)]
    pub struct Swept {
        /// Calls that failed, each in a run of its own.
        pub calls: u64,
        /// Runs.
        pub runs: u64,
        /// Of those, in how many an opening failed.
        pub failed_openings: u64,
        /// Of those, in how many somebody was left in doubt.
        pub in_doubt: u64,
        /// Syncs that lost what they should have made durable.
        pub failed_syncs: u64,
        /// Times everything was mended and more operations succeeded.
        pub healings: u64,
        /// Disks that were refused without a reason.
        pub refusals: u64,
        /// Disks on which something acknowledged was missing.
        pub losses: u64,
        /// Anything else that was wrong.
        pub violations: u64,
    }
}

impl Way {
    /// Every way in which the calls of a disk are made to fail.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let both = [
            Trouble::WriteError,
            Trouble::Full,
            Trouble::ShortWrite(2_048),
            Trouble::ReadError,
            Trouble::ShortRead(2_048),
        ];
        let once = [
            Trouble::WriteInterrupted,
            Trouble::ShortWrite(1),
            Trouble::ReadInterrupted,
            Trouble::ShortRead(1),
        ];
        let way = |forever| move |trouble: &Trouble| Self { trouble: *trouble, forever };
        let ways = both.iter().map(way(false)).chain(both.iter().map(way(true)));
        let ways = ways.chain(once.iter().map(way(false)));
        ways.chain([Self { trouble: Trouble::ReadOnly, forever: true }]).collect()
    }
}

impl Script {
    /// Everything an engine does with a disk.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let commit = |ask| Event::Commit { ask };
        let submit = |ask| Event::Submit { client: 0, ask };
        let wait = Event::Wait { client: 0, ticket: 0 };
        let crash = |after, stop| Event::Crash { after, stop, hurdles: [None, None], twice: false };
        let some = [
            commit(Ask::Put(0)),
            commit(Ask::Insert(0)),
            Event::Checkpoint,
            commit(Ask::Large(1, 6)),
            commit(Ask::Batch(2)),
        ];
        let and = |more: &[Event]| [&some[..], more].concat();
        let script = |name, before: Vec<Event>, under: &[Event]| Self {
            name,
            before,
            under: under.to_vec(),
        };
        let work = [
            submit(Ask::Put(0)),
            submit(Ask::Swap(1)),
            submit(Ask::Add(2, 1)),
            Event::Get { key: 0 },
            Event::Step,
            wait,
            commit(Ask::Retry(0)),
            submit(Ask::Batch(4)),
            wait,
            Event::Update { key: 2, delta: 1 },
            commit(Ask::Delete(1)),
        ];
        // More than the cache of the checkpoint holds.
        let mut many = vec![commit(Ask::Large(0, 60)); 24];
        many.push(Event::Checkpoint);
        let look = [Event::Get { key: 0 }, Event::Range { from: 0, backwards: false }];
        let contract = [
            Event::Buffered { ask: Ask::Plain(6) },
            Event::Applied,
            Event::Fence { whose: Whose::New },
            commit(Ask::Retry(0)),
            Event::Buffered { ask: Ask::Plain(7) },
            Event::Sync,
            Event::SetMode { read_only: true },
            commit(Ask::Put(6)),
            Event::Resolve { whose: Whose::Asked(0) },
            Event::SetMode { read_only: false },
            Event::Late { ask: Ask::Put(6) },
        ];
        vec![
            script("creation", vec![], &[commit(Ask::Put(0))]),
            script("writes", and(&[]), &work),
            script("first write after a close", and(&[Event::Close, Event::Get { key: 0 }]), &work),
            script(
                "rotation",
                and(&[]),
                &[commit(Ask::Large(0, 40)), Event::Step, commit(Ask::Large(1, 40)), Event::Step],
            ),
            script("checkpoint", and(&[]), &[Event::Checkpoint, commit(Ask::Put(3))]),
            // More than is held in memory while there is no room.
            script(
                "large checkpoint",
                vec![commit(Ask::Large(0, 60)); 13],
                &[
                    Event::Checkpoint,
                    Event::Get { key: 0 },
                    commit(Ask::Retry(3)),
                    Event::Checkpoint,
                ],
            ),
            script("answers from the disk", many, &[2, 9, 16, 23].map(|n| commit(Ask::Retry(n)))),
            script("fences, the mode, buffered answers", and(&[Event::Close, look[0]]), &contract),
            script("close", and(&[]), &[submit(Ask::Put(5)), Event::Close]),
            script("reopening", and(&[Event::Close]), &look),
            script("recovery after a kill", and(&[crash(0, Stop::Kill)]), &look),
            script(
                "recovery of a torn log",
                and(&[submit(Ask::Large(3, 8)), crash(2, Stop::KeepOne(0)), Event::Step]),
                &look,
            ),
            script(
                "recovery from within a checkpoint",
                and(&[crash(12, Stop::Seeded(5)), Event::Checkpoint]),
                &look,
            ),
        ]
    }

    /// Lets the first call meet a trouble, then the second, and so on, until the script makes no such call.
    #[must_use]
    pub fn sweep(&self, way: Way) -> (Swept, Vec<Failure>) {
        let mut swept = Swept::default();
        let mut failures = Vec::new();
        for call in 0..MOST_CALLS {
            let ran = self.plan(way, call).run();
            let summary = match &ran {
                Ok(summary) => summary,
                Err(failure) => &failure.summary,
            };
            swept.add(summary);
            let met = summary.faults.values().sum::<u64>() > 0;
            swept.calls += u64::from(met);
            if let Err(failure) = ran {
                failures.push(*failure);
            } else if !met {
                return (swept, failures);
            }
            if failures.len() >= ENOUGH_FAILURES {
                return (swept, failures);
            }
        }
        (swept, failures)
    }

    /// The script with the trouble after so many calls; then all is mended, at once or, every other time, after a power
    /// cut.
    fn plan(&self, way: Way, after: u16) -> Plan {
        let Way { trouble, forever } = way;
        let cut = after % 2 == 1;
        let mut events = self.before.clone();
        events.push(Event::Fault { trouble, after, forever });
        events.extend_from_slice(&self.under);
        if cut {
            let stop = Stop::Seeded(after.into());
            events.push(Event::Crash { after: 0, stop, hurdles: [None, None], twice: true });
        }
        events.push(Event::Heal);
        Plan::empty(1).with(events)
    }
}

impl Swept {
    fn add(&mut self, summary: &Summary) {
        self.runs += 1;
        self.failed_openings += u64::from(summary.failed_openings > 0);
        self.in_doubt += u64::from(summary.in_doubt > 0);
        self.failed_syncs += summary.failed_syncs;
        self.healings += summary.healings;
        self.refusals += summary.refusals;
        self.losses += summary.losses;
        self.violations += summary.violations;
    }
}

impl fmt::Display for Swept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls failed in {} runs: {} with a failed opening, {} in doubt, {} failed syncs, {} healings; \
             {} refusals, {} losses, {} violations",
            self.calls,
            self.runs,
            self.failed_openings,
            self.in_doubt,
            self.failed_syncs,
            self.healings,
            self.refusals,
            self.losses,
            self.violations
        )
    }
}
