//! Campaigns that end with the first failure: to see what it takes to find one.

use super::{
    campaign::Campaign, case::Failure, oracle::caught, session::Ended, step::Step,
    summary::Summary, world::World,
};

impl Campaign {
    /// As [`run`](Self::run), but in order, on this thread, and only up to the first failure: the summary counts what it
    /// took to find that.
    #[must_use]
    pub fn until_failure(&self) -> (Summary, Option<Failure>) {
        self.first_failure(|world, steps| {
            let (summary, failures) = self.sequence(world, steps, 1);
            (summary, failures.into_iter().next())
        })
    }

    /// Takes the steps of every sequence without a crash, up to the first answer or state that is wrong.
    #[must_use]
    pub fn without_crashes(&self) -> (Summary, Option<Failure>) {
        self.first_failure(|world, steps| {
            let mut summary = Summary { sequences: 1, ..Summary::default() };
            let failure = match caught(|| world.run(steps, None)) {
                Ok(Ended { .. }) => {
                    summary.openings = 1;
                    None
                }
                Err(problem) => {
                    summary.count(problem.breach.kind);
                    Some(*self.case(steps, u64::MAX).failure(problem, Vec::new(), Vec::new()))
                }
            };
            (summary, failure)
        })
    }

    fn first_failure(
        &self,
        one: impl Fn(&World, &[Step]) -> (Summary, Option<Failure>),
    ) -> (Summary, Option<Failure>) {
        let mut total = Summary::default();
        let world = match caught(|| self.start.world(self.seed)) {
            Ok(world) => world.lying(self.lie),
            Err(problem) => {
                total.count(problem.breach.kind);
                let failure = self.case(&[], 0).failure(problem, Vec::new(), Vec::new());
                return (total, Some(*failure));
            }
        };
        for steps in self.sequences() {
            let (summary, failure) = one(&world, &steps);
            total += summary;
            if failure.is_some() {
                return (total, failure);
            }
        }
        (total, None)
    }
}
