//! The layouts of [`format`](crate::format), of keys and of values.

mod keys;
mod raw;
mod values;

pub(super) use values::{any_control, any_entry, any_row, any_window_row};

/// Arbitrary bytes through every decoder, and arbitrary values through every layout.
///
/// - nothing panics, and nothing is allocated for a length that was not checked against the bytes that are there;
/// - what decodes encodes to the very bytes it came from, where there is one encoding only;
/// - what is encoded decodes to the value it came from;
/// - keys sort as bytes as they do as values.
///
/// The first byte chooses: even ones take the rest as bytes to decode, odd ones as values to encode.
///
/// # Panics
/// When any of that does not hold.
pub fn frame(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    match mode % 4 {
        0 => raw::decode_all(rest),
        1 => values::encode_all(rest),
        2 => keys::decode_all(rest),
        _ => keys::compare(rest),
    }
}
