//! What must be in the engine, what is in the engine, and where they differ.

use crate::{
    common::count,
    ledger::Ledger,
    store::{CHAIN, Chain, REVENUE, SPEND, TOTAL, UNITS},
    text::money,
};
use std::{collections::BTreeMap, fmt};
use steadfast::{Error, Snapshot};

/// Every sum that the ledger has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub units: BTreeMap<(u32, u64), i64>,
    pub revenue: BTreeMap<u32, i64>,
    pub spend: BTreeMap<u64, i64>,
    pub chain: Chain,
}

impl Sums {
    /// The sums of the file, sold `rounds` times; `None` when one does not fit 64 bits.
    pub fn expected(ledger: &Ledger, rounds: u32) -> Option<Self> {
        let rounds = i64::from(rounds);
        let mut sums = Self::default();
        for basket in &ledger.baskets {
            for line in &basket.lines {
                let units = line.quantity.checked_mul(rounds)?;
                add(sums.units.entry((basket.store, line.product)).or_default(), units)?;
            }
            let cents = basket.cents().checked_mul(rounds)?;
            add(sums.revenue.entry(basket.store).or_default(), cents)?;
            add(sums.spend.entry(basket.household).or_default(), cents)?;
            add(&mut sums.chain.cents, cents)?;
            add(&mut sums.chain.baskets, rounds)?;
        }
        Some(sums)
    }

    /// The sums at one moment of the engine.
    pub fn in_engine(snapshot: &Snapshot) -> Result<Self, Error> {
        let units = snapshot.range(&UNITS, ..).map(|row| row.map(|(key, row)| (key, row.value)));
        Ok(Self { units: units.collect::<Result<_, _>>()?, ..Self::money_in_engine(snapshot)? })
    }

    /// The sums of money alone: small enough to look at often.
    pub fn money_in_engine(snapshot: &Snapshot) -> Result<Self, Error> {
        let revenue =
            snapshot.range(&REVENUE, ..).map(|row| row.map(|(key, row)| (key, row.value)));
        let spend = snapshot.range(&SPEND, ..).map(|row| row.map(|(key, row)| (key, row.value)));
        Ok(Self {
            units: BTreeMap::new(),
            revenue: revenue.collect::<Result<_, _>>()?,
            spend: spend.collect::<Result<_, _>>()?,
            chain: snapshot.get(&CHAIN, TOTAL)?.map_or_else(Chain::default, |row| row.value),
        })
    }

    /// Whether what the stores took, what the households spent and the chain's total are the same money.
    pub fn agree(&self) -> bool {
        let totals = [total(&self.revenue), total(&self.spend)];
        totals == [i128::from(self.chain.cents); 2]
    }
}

fn add(sum: &mut i64, value: i64) -> Option<()> {
    *sum = sum.checked_add(value)?;
    Some(())
}

fn total<K>(rows: &BTreeMap<K, i64>) -> i128 {
    rows.values().map(|value| i128::from(*value)).sum()
}

/// Expected against found, one line for each kind of sum.
#[derive(Debug)]
pub struct Comparison(pub [Compared; 5]);

/// One line of the comparison.
#[derive(Debug)]
pub struct Compared {
    pub what: &'static str,
    /// Records that have this sum.
    pub records: usize,
    pub expected: i128,
    pub found: i128,
    /// Records that are not what they must be, on either side.
    pub differing: usize,
    show: fn(i128) -> String,
}

impl Comparison {
    /// Compares record by record. A sum of 0 and no record mean the same.
    pub fn new(expected: &Sums, found: &Sums) -> Self {
        Self([
            compare("units sold", &expected.units, &found.units, count),
            compare("store revenue", &expected.revenue, &found.revenue, money),
            compare("household spend", &expected.spend, &found.spend, money),
            compare_one("chain total", expected.chain.cents, found.chain.cents, money),
            compare_one("baskets", expected.chain.baskets, found.chain.baskets, count),
        ])
    }

    pub fn agrees(&self) -> bool {
        self.0.iter().all(|line| line.differing == 0)
    }
}

fn compare<K: Ord>(
    what: &'static str,
    expected: &BTreeMap<K, i64>,
    found: &BTreeMap<K, i64>,
    show: fn(i128) -> String,
) -> Compared {
    let value = |rows: &BTreeMap<K, i64>, key: &K| rows.get(key).copied().unwrap_or(0);
    let wrong = expected.iter().filter(|(key, sum)| value(found, key) != **sum).count();
    let extra = found.iter().filter(|(key, sum)| !expected.contains_key(key) && **sum != 0).count();
    Compared {
        what,
        records: expected.len(),
        expected: total(expected),
        found: total(found),
        differing: wrong + extra,
        show,
    }
}

fn compare_one(
    what: &'static str,
    expected: i64,
    found: i64,
    show: fn(i128) -> String,
) -> Compared {
    let differing = usize::from(expected != found);
    Compared { what, records: 1, expected: expected.into(), found: found.into(), differing, show }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, file, engine) = ("", "expected from the file", "in the engine");
        writeln!(f, "{what:<16} {:>8}  {file:>22}  {engine:>22}", "records")?;
        for line in &self.0 {
            let (expected, found) = ((line.show)(line.expected), (line.show)(line.found));
            let records = count(line.records as i128);
            write!(f, "{:<16} {records:>8}  {expected:>22}  {found:>22}  ", line.what)?;
            match line.differing {
                0 => writeln!(f, "equal")?,
                n => writeln!(f, "{} DIFFERENT", count(n as i128))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let text = "ts,store,household,basket,product,quantity,cents\n\
            5,1,20,30,7,1,50\n5,1,20,30,8,0,0\n6,2,20,31,7,4,25\n7,1,21,32,7,2,100\n";
        Ledger::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn sums_follow_the_file_and_the_rounds() {
        let sums = Sums::expected(&ledger(), 3).unwrap();
        assert_eq!(sums.units, BTreeMap::from([((1, 7), 9), ((1, 8), 0), ((2, 7), 12)]));
        assert_eq!(sums.revenue, BTreeMap::from([(1, 450), (2, 75)]));
        assert_eq!(sums.spend, BTreeMap::from([(20, 225), (21, 300)]));
        assert_eq!(sums.chain, Chain { baskets: 9, cents: 525 });
        assert!(sums.agree());
    }

    #[test]
    fn sums_that_do_not_fit_are_noticed() {
        let mut ledger = ledger();
        ledger.baskets[0].lines[0].cents = i64::MAX / 2;
        assert!(Sums::expected(&ledger, 2).is_none());
    }

    #[test]
    fn equal_sums_compare_equal_and_zero_is_absent() {
        let expected = Sums::expected(&ledger(), 1).unwrap();
        let mut found = expected.clone();
        found.units.remove(&(1, 8));
        assert!(Comparison::new(&expected, &found).agrees());
    }

    #[test]
    fn a_wrong_a_missing_and_an_extra_record_are_all_counted() {
        let expected = Sums::expected(&ledger(), 1).unwrap();
        let mut found = expected.clone();
        found.units.insert((1, 7), 4);
        found.units.remove(&(2, 7));
        found.units.insert((9, 9), 1);
        found.revenue.clear();
        found.chain.baskets += 1;
        let comparison = Comparison::new(&expected, &found);
        assert_eq!(comparison.0.each_ref().map(|line| line.differing), [3, 2, 0, 0, 1]);
        assert!(!comparison.agrees() && !found.agree());
        assert!(comparison.to_string().contains("3 DIFFERENT"));
    }

    #[test]
    fn money_that_only_moved_between_records_is_found() {
        let expected = Sums::expected(&ledger(), 1).unwrap();
        let mut found = expected.clone();
        found.revenue = BTreeMap::from([(1, 149), (2, 26)]);
        assert!(found.agree());
        assert!(!Comparison::new(&expected, &found).agrees());
    }
}
