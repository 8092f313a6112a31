//! Steps of the engine, a power cut at any I/O of them, and another during the recovery.

use super::{
    super::crash::{Case, End, Start, Step},
    input::Input,
};
use crate::disk::Choice;

/// Most steps of one case.
const STEPS: usize = 8;

/// One case of [`crash`](super::super::crash): some steps, the call at which the power was cut or the process was killed, what of
/// the pending units reached the disk, and possibly a second cut during the recovery.
///
/// # Panics
/// When what comes up breaks a law, with the case in the message.
pub fn crash_recovery(data: &[u8]) {
    if let Err(failure) = case(data).run() {
        panic!("{failure}");
    }
}

/// The case that some bytes describe.
fn case(data: &[u8]) -> Case {
    let mut input = Input::new(data);
    let input = &mut input;
    let start = input.pick(&[Start::Empty, Start::Closed, Start::Torn, Start::Due]);
    let seed = u64::from(input.u8() % 4);
    let crash_at = 1 + input.below(256) as u64;
    let end = if input.u8() < 32 { End::Kill } else { End::PowerCut(choice(input)) };
    let again = input.flag().then(|| (1 + u64::from(input.u8() % 32), choice(input)));
    let steps = input.rest().iter().take(STEPS);
    let steps = steps.map(|step| Step::ALL[usize::from(*step) % Step::ALL.len()]).collect();
    Case { seed, start, lie: None, steps, crash_at, end, again }
}

fn choice(input: &mut Input<'_>) -> Choice {
    match input.below(6) {
        0 => Choice::None,
        1 => Choice::All,
        2 => Choice::Only(usize::from(input.u8())),
        3 => Choice::AllBut(usize::from(input.u8())),
        4 => {
            let bits = input.u64();
            Choice::Subset((0..64).map(|bit| bits & 1 << bit != 0).collect())
        }
        _ => Choice::Seeded(input.u64()),
    }
}
