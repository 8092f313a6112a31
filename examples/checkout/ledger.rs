//! The ledger: a CSV of sale lines, read into baskets. Every complaint names the line, and the column where there is one.

use serde::Serialize;
use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};
use thiserror::Error;

const COLUMNS: [&str; 7] = ["ts", "store", "household", "basket", "product", "quantity", "cents"];
/// A basket is one operation, and one operation changes at most 1,024 records.
const LINES_PER_BASKET: usize = 1000;
const BYTES_PER_LINE: u64 = 4096;

/// What was sold, in the order of the file.
#[derive(Debug)]
pub struct Ledger {
    pub baskets: Vec<Basket>,
    pub lines: u64,
}

/// One checkout: what a till sends as one request.
#[derive(Debug, Serialize)]
pub struct Basket {
    pub ts: u64,
    pub store: u32,
    pub household: u64,
    pub basket: u64,
    pub lines: Vec<Line>,
}

/// What was sold of one product.
#[derive(Debug, Serialize)]
pub struct Line {
    pub product: u64,
    pub quantity: i64,
    pub cents: i64,
}

/// Why the file is no ledger.
#[derive(Debug, Error)]
pub enum LedgerError {
    #[error("can't read the ledger: {0}")]
    Read(#[from] io::Error),
    #[error("line 1: the header must be `{}`, found `{found}`", COLUMNS.join(","))]
    Header { found: String },
    #[error("line {line}: {found} columns, expected {}", COLUMNS.len())]
    Columns { line: u64, found: usize },
    #[error("line {line}: longer than {BYTES_PER_LINE} bytes")]
    LineTooLong { line: u64 },
    #[error("line {line}: not UTF-8 text")]
    NotText { line: u64 },
    #[error("line {line}, column `{column}`: `{found}` is not a whole number from 0 to {max}")]
    Number { line: u64, column: &'static str, found: String, max: u64 },
    #[error("line {line}, column `{column}`: differs from the basket's earlier lines")]
    Torn { line: u64, column: &'static str },
    #[error("line {line}: basket {basket} has more than {LINES_PER_BASKET} products")]
    TooManyLines { line: u64, basket: u64 },
    #[error("the ledger has no sale lines")]
    Empty,
}

impl Ledger {
    /// Reads the file at `path`.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        Self::read(BufReader::new(File::open(path)?))
    }

    /// Reads any CSV of the ledger's shape.
    pub fn read(mut input: impl BufRead) -> Result<Self, LedgerError> {
        let header = next_line(&mut input, 1)?.unwrap_or_default();
        if header.split(',').ne(COLUMNS) {
            return Err(LedgerError::Header { found: shortened(&header) });
        }
        let mut ledger = Self { baskets: Vec::new(), lines: 0 };
        let mut index_of = HashMap::new();
        while let Some(text) = next_line(&mut input, ledger.lines + 2)? {
            let line = ledger.lines + 2;
            let row = Row::parse(&text, line)?;
            let index = *index_of.entry(row.basket).or_insert(ledger.baskets.len());
            if index == ledger.baskets.len() {
                ledger.baskets.push(row.open_basket());
            }
            ledger.baskets[index].push(&row, line)?;
            ledger.lines += 1;
        }
        if ledger.baskets.is_empty() { Err(LedgerError::Empty) } else { Ok(ledger) }
    }
}

impl Basket {
    pub fn cents(&self) -> i64 {
        self.lines.iter().map(|line| line.cents).sum()
    }

    fn push(&mut self, row: &Row, line: u64) -> Result<(), LedgerError> {
        let same = [
            ("ts", self.ts == row.ts),
            ("store", self.store == row.store),
            ("household", self.household == row.household),
        ];
        if let Some((column, _)) = same.into_iter().find(|(_, same)| !same) {
            return Err(LedgerError::Torn { line, column });
        }
        if let Some(known) = self.lines.iter_mut().find(|known| known.product == row.product) {
            known.quantity += i64::from(row.quantity);
            known.cents += i64::from(row.cents);
            return Ok(());
        }
        if self.lines.len() == LINES_PER_BASKET {
            return Err(LedgerError::TooManyLines { line, basket: self.basket });
        }
        self.lines.push(Line {
            product: row.product,
            quantity: row.quantity.into(),
            cents: row.cents.into(),
        });
        Ok(())
    }
}

struct Row {
    ts: u64,
    store: u32,
    household: u64,
    basket: u64,
    product: u64,
    quantity: u32,
    cents: u32,
}

impl Row {
    fn parse(text: &str, line: u64) -> Result<Self, LedgerError> {
        let found = text.split(',').count();
        if found != COLUMNS.len() {
            return Err(LedgerError::Columns { line, found });
        }
        let mut fields = COLUMNS.into_iter().zip(text.split(','));
        let mut number =
            |max: u64| {
                let (column, field) = fields.next().expect("as many fields as columns");
                // `parse` would also take a leading `+`.
                let digits = field.bytes().all(|byte| byte.is_ascii_digit());
                field.parse().ok().filter(|&number| digits && number <= max).ok_or_else(|| {
                    LedgerError::Number { line, column, found: shortened(field), max }
                })
            };
        let narrow = u64::from(u32::MAX);
        Ok(Self {
            ts: number(u64::MAX)?,
            store: number(narrow)? as u32,
            household: number(u64::MAX)?,
            basket: number(u64::MAX)?,
            product: number(u64::MAX)?,
            quantity: number(narrow)? as u32,
            cents: number(narrow)? as u32,
        })
    }

    fn open_basket(&self) -> Basket {
        let Self { ts, store, household, basket, .. } = *self;
        Basket { ts, store, household, basket, lines: Vec::new() }
    }
}

fn next_line(input: &mut impl BufRead, line: u64) -> Result<Option<String>, LedgerError> {
    let mut bytes = Vec::new();
    // One byte more than allowed, so that a file without line ends is not read into memory as a whole.
    input.by_ref().take(BYTES_PER_LINE + 1).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() as u64 > BYTES_PER_LINE {
        return Err(LedgerError::LineTooLong { line });
    }
    let mut text = String::from_utf8(bytes).map_err(|_| LedgerError::NotText { line })?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(Some(text))
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "ts,store,household,basket,product,quantity,cents\n";

    fn read(rows: &str) -> Result<Ledger, LedgerError> {
        Ledger::read(format!("{HEADER}{rows}").as_bytes())
    }

    fn complaint(rows: &str) -> String {
        read(rows).unwrap_err().to_string()
    }

    #[test]
    fn lines_gather_into_baskets_in_the_order_of_the_file() {
        let ledger = read("5,1,2,30,7,1,50\r\n5,1,2,31,7,1,50\n5,1,2,30,8,2,99").unwrap();
        assert_eq!(ledger.lines, 3);
        assert_eq!(ledger.baskets.iter().map(|b| b.basket).collect::<Vec<_>>(), [30, 31]);
        assert_eq!((ledger.baskets[0].lines[1].quantity, ledger.baskets[0].cents()), (2, 149));
    }

    #[test]
    fn a_product_that_occurs_twice_in_a_basket_is_one_line() {
        let ledger = read("5,1,2,30,7,1,50\n5,1,2,30,7,2,70\n").unwrap();
        let line = &ledger.baskets[0].lines[..];
        assert_eq!((line.len(), line[0].quantity, line[0].cents), (1, 3, 120));
    }

    #[test]
    fn complaints_name_the_line_and_the_column() {
        let good = "5,1,2,30,7,1,50\n";
        for (rows, expected) in [
            ("5,1,2,30,7,1\n", "line 2: 6 columns, expected 7"),
            ("\n", "line 2: 1 columns, expected 7"),
            ("5,x,2,30,7,1,50\n", "line 2, column `store`: `x` is not a whole number"),
            ("5,1,2,30,7,+1,50\n", "line 2, column `quantity`: `+1` is not a whole number"),
            ("5,1,2,30,7,1,\n", "line 2, column `cents`: `` is not a whole number"),
            ("5,1,2,30,7,1,-4\n", "line 2, column `cents`: `-4` is not a whole number"),
            ("5,1,2,30,7,4294967296,1\n", "column `quantity`: `4294967296` is not a whole"),
            (&format!("{good}5,1,9,30,8,1,50\n"), "line 3, column `household`: differs"),
            (&format!("{good}{}\n", "7".repeat(5000)), "line 3: longer than 4096 bytes"),
            ("", "the ledger has no sale lines"),
        ] {
            let complaint = complaint(rows);
            assert!(complaint.contains(expected), "{rows:?} gave {complaint:?}");
        }
    }

    #[test]
    fn the_header_is_checked() {
        for input in ["", "ts,store\n", "5,1,2,30,7,1,50\n"] {
            let error = Ledger::read(input.as_bytes()).unwrap_err();
            assert!(matches!(error, LedgerError::Header { .. }), "{input:?} gave {error:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let input = [HEADER.as_bytes(), b"5,1,2,\xff,7,1,50\n"].concat();
        let error = Ledger::read(&input[..]).unwrap_err();
        assert!(matches!(error, LedgerError::NotText { line: 2 }));
    }

    #[test]
    fn a_basket_that_no_operation_could_hold_is_refused() {
        let rows: String = (0..=1000).map(|product| format!("5,1,2,30,{product},1,50\n")).collect();
        assert!(complaint(&rows).contains("line 1002: basket 30 has more than 1000 products"));
    }

    #[test]
    fn the_slice_in_the_project_is_what_its_description_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/retail-weeks-01-02.csv");
        let ledger = Ledger::open(Path::new(path)).unwrap();
        assert_eq!((ledger.baskets.len(), ledger.lines), (3301, 35176));
        assert_eq!(
            ledger
                .baskets
                .iter()
                .flat_map(|basket| &basket.lines)
                .map(|line| line.quantity)
                .sum::<i64>(),
            2_609_927
        );
        assert_eq!(ledger.baskets.iter().map(Basket::cents).sum::<i64>(), 10_384_779);
    }
}
