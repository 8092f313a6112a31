//! Numbers as a person reads them.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub fn count(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Cents as `1,234.56`.
pub fn money(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.abs();
    format!("{sign}{}.{:02}", count(cents / 100), cents % 100)
}

/// How often per second.
pub fn per_second(times: u64, elapsed: Duration) -> String {
    count((times as f64 / elapsed.as_secs_f64().max(1e-9)).round() as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let numbers = [0, 999, 1_000, -123_4567].map(count);
        assert_eq!(numbers, ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!([0, 5, 123_456, -7].map(money), ["0.00", "0.05", "1,234.56", "-0.07"]);
        assert_eq!(per_second(3_000, Duration::from_millis(1_500)), "2,000");
    }
}
