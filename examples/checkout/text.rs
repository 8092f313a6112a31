//! Sums and rates as a person reads them.

use crate::common::count;
use std::time::Duration;

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
    fn sums_and_rates_read_well() {
        assert_eq!([0, 5, 123_456, -7].map(money), ["0.00", "0.05", "1,234.56", "-0.07"]);
        assert_eq!(per_second(3_000, Duration::from_millis(1_500)), "2,000");
    }
}
