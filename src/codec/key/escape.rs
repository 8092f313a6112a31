//! Runs of bytes of any length that keep their order inside a longer key: 00 is written as 00 FF, the end as 00 00.
//! The end sorts before every byte that may follow, so a run sorts before its continuations.

use super::CodecError;

/// The end of a run. An empty run is this alone.
pub(super) const END: [u8; 2] = [0, 0];
const ZERO: [u8; 2] = [0, 0xFF];

/// Adds `run` without its end: the form of a prefix.
pub(super) fn put(run: &[u8], out: &mut Vec<u8>) {
    let mut pieces = run.split(|&byte| byte == 0);
    out.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.extend_from_slice(&ZERO);
        out.extend_from_slice(piece);
    }
}

/// Adds `run` and its end.
pub(super) fn put_ended(run: &[u8], out: &mut Vec<u8>) {
    put(run, out);
    out.extend_from_slice(&END);
}

/// Takes a run and its end from the front of `input`.
pub(super) fn take_ended(input: &mut &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut run = Vec::new();
    loop {
        let zero = input.iter().position(|&byte| byte == 0);
        let zero = zero.ok_or(CodecError::MalformedKey("a string has no end"))?;
        run.extend_from_slice(&input[..zero]);
        let escape = input.get(zero..zero + 2).map(<[u8; 2]>::try_from);
        *input = input.get(zero + 2..).unwrap_or_default();
        match escape {
            Some(Ok(END)) => return Ok(run),
            Some(Ok(ZERO)) => run.push(0),
            _ => return Err(CodecError::MalformedKey("a string has an unknown escape")),
        }
    }
}
