//! What the world knows.

/// What clients of a service were told, and by whom: it is theirs, so no crash takes it.
///
/// The facts are of a type of the service's own. One noted before its commit has returned is a fact all the same: the
/// client has heard it.
#[derive(Clone, Debug)]
pub struct Journal<F> {
    facts: Vec<F>,
    starts: u32,
    finished: bool,
}

impl<F> Journal<F> {
    pub(super) fn new() -> Self {
        Self { facts: Vec::new(), starts: 1, finished: false }
    }

    /// Notes that somebody was told something.
    pub fn record(&mut self, fact: F) {
        self.facts.push(fact);
    }

    /// What was told, in that order.
    #[must_use]
    pub fn facts(&self) -> &[F] {
        &self.facts
    }

    /// How often the service has been started: 1 before the crash, 2 after it.
    #[must_use]
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// Whether the work was done to its end: then a check may ask for all of it.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished
    }

    pub(super) fn start_again(&mut self) {
        self.starts += 1;
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
    }
}
