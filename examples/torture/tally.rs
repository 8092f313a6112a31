//! What was counted, by layer.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Figures by layer and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(pub BTreeMap<String, BTreeMap<String, u64>>);

/// The figures that must be 0.
pub const FAILURES: [&str; 3] = ["refusals", "losses", "violations"];

impl Tally {
    /// Adds a layer's summary: every number in it, those in maps under both names.
    pub fn add(&mut self, layer: &str, summary: &Value) {
        let figures = self.0.entry(layer.to_owned()).or_default();
        flatten("", summary, &mut |name, number| {
            *figures.entry(name.to_owned()).or_default() += number;
        });
    }

    pub fn merge(&mut self, other: &Self) {
        for (layer, figures) in &other.0 {
            let mine = self.0.entry(layer.clone()).or_default();
            for (name, number) in figures {
                *mine.entry(name.clone()).or_default() += number;
            }
        }
    }

    /// A figure over all layers.
    pub fn total(&self, name: &str) -> u64 {
        self.0.values().filter_map(|figures| figures.get(name)).sum()
    }

    /// A figure of one layer.
    pub fn of(&self, layer: &str, name: &str) -> u64 {
        self.0.get(layer).and_then(|figures| figures.get(name)).copied().unwrap_or(0)
    }

    /// How many promises were broken.
    pub fn failures(&self) -> u64 {
        FAILURES.iter().map(|name| self.total(name)).sum()
    }
}

fn flatten(name: &str, value: &Value, add: &mut dyn FnMut(&str, u64)) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(&name, value, add);
            }
        }
        Value::Number(number) => add(name, number.as_u64().unwrap_or(0)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_add_up_by_layer_and_over_all() {
        let mut tally = Tally::default();
        tally.add("log", &json!({ "crashes": 2, "faults": { "short": 1 }, "losses": 0 }));
        tally.add("log", &json!({ "crashes": 3, "faults": { "short": 4 } }));
        let mut other = Tally::default();
        other.add("rot", &json!({ "crashes": 10, "losses": 1 }));
        tally.merge(&other);
        assert_eq!((tally.total("crashes"), tally.total("faults.short")), (15, 5));
        assert_eq!(
            (tally.of("log", "crashes"), tally.of("log", "kills"), tally.failures()),
            (5, 0, 1)
        );
    }
}
