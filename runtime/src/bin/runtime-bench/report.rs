//! Rows of figures, as a table or as JSON.

use std::fmt::Write;

use runtime::Backend;

/// What a figure must keep.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    None,
    Below(f64),
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) bound: Bound,
}

/// All rounds of all figures, in the order they were first added.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<(Row, Vec<f64>, Vec<f64>)>,
}

impl Report {
    pub(crate) fn add(&mut self, row: Row, backend: Backend, value: f64) {
        let at = self.rows.iter().position(|(known, ..)| *known == row).unwrap_or_else(|| {
            self.rows.push((row, Vec::new(), Vec::new()));
            self.rows.len() - 1
        });
        let (_row, tokio, glommio) = &mut self.rows[at];
        match backend {
            Backend::Tokio => tokio.push(value),
            Backend::Glommio => glommio.push(value),
        }
    }

    pub(crate) fn bounds_kept(&self) -> bool {
        self.rows.iter().all(|(row, tokio, glommio)| {
            [tokio, glommio].into_iter().all(|values| keeps(row.bound, median(values)))
        })
    }

    pub(crate) fn table(&self) -> String {
        let mut text = format!("{:<40}{:>14}{:>14}  {:<8}\n", "median of rounds", "tokio", "glommio", "unit");
        for (row, tokio, glommio) in &self.rows {
            let cell = |values: &[f64]| median(values).map_or_else(|| "-".to_owned(), number);
            let _ = write!(text, "{:<40}{:>14}{:>14}  {:<8}", row.name, cell(tokio), cell(glommio), row.unit);
            if let Bound::Below(bound) = row.bound {
                let kept = keeps(row.bound, median(tokio)) && keeps(row.bound, median(glommio));
                let _ = write!(text, "below {bound}: {}", if kept { "kept" } else { "MISSED" });
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }

    pub(crate) fn json(&self) -> String {
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|(row, tokio, glommio)| {
                let value =
                    |values: &[f64]| median(values).map_or("null".to_owned(), |value| value.to_string());
                let below = match row.bound {
                    Bound::None => "null".to_owned(),
                    Bound::Below(bound) => bound.to_string(),
                };
                format!(
                    "{{\"name\":\"{}\",\"unit\":\"{}\",\"below\":{below},\"tokio\":{},\"glommio\":{}}}",
                    row.name,
                    row.unit,
                    value(tokio),
                    value(glommio)
                )
            })
            .collect();
        format!("{{\"rows\":[{}],\"bounds_kept\":{}}}", rows.join(","), self.bounds_kept())
    }
}

/// A back end that was not measured keeps every bound.
fn keeps(bound: Bound, value: Option<f64>) -> bool {
    match (bound, value) {
        (Bound::Below(bound), Some(value)) => value < bound,
        _ => true,
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn number(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}
