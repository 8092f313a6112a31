//! What the shells share.

use std::{
    panic::{self, AssertUnwindSafe},
    process,
};

/// Lets panics unwind, which libFuzzer's hook ends the process at: the engine catches those of its checkpoint's store, which
/// panics on some damaged pages, and judges them. Those are not printed either.
pub fn let_panics_unwind() {
    let _aborting = panic::take_hook();
    let printing = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let of_the_store = info.location().is_some_and(|place| place.file().contains("/redb-"));
        if !of_the_store {
            printing(info);
        }
    }));
}

/// Calls a target. A panic that it lets out is a finding, and ends the process.
pub fn run(target: fn(&[u8]), data: &[u8]) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| target(data))) {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        eprintln!("a promise is broken: {}", text.unwrap_or("a panic without words"));
        process::abort();
    }
}
