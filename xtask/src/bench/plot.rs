//! `bench plot`: draws `perf/history/revisions.jsonl`, one panel a figure, one place on the x axis a revision.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, ensure};
use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

use super::history;

/// Pixels.
const SIZE: (u32, u32) = (1000, 1280);
/// What the gate counts: key of the line, heading.
const GATE: [(&str, &str); 3] = [
    ("instructions", "instructions a message"),
    ("copied_octets", "octets copied a message"),
    ("syscalls", "system calls a message (tokio)"),
];
/// Letters of a revision below the axis.
const REVISION_SHOWN: usize = 14;
/// Colours that people with poor colour vision tell apart (Okabe and Ito).
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Lines of one panel: points are place of the revision, value, and the interval around it where there is one.
type Series = BTreeMap<String, Vec<(f64, f64, Option<(f64, f64)>)>>;

/// # Errors
/// When there is no history, or the file cannot be written.
pub(super) fn run() -> anyhow::Result<()> {
    let lines = history::read()?;
    ensure!(!lines.is_empty(), "no history yet: `cargo xtask bench gate --accept` begins it");
    let svg = draw(&lines)?;
    let path = history::path().with_extension("svg");
    std::fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))?;
    println!("drawn: perf/history/revisions.svg, {} revisions", lines.len());
    Ok(())
}

fn draw(lines: &[Value]) -> anyhow::Result<String> {
    let names: Vec<String> = lines
        .iter()
        .map(|line| line["revision"].as_str().unwrap_or("?").chars().take(REVISION_SHOWN).collect())
        .collect();
    let mut out = String::new();
    {
        let root = SVGBackend::with_string(&mut out, SIZE).into_drawing_area();
        // The library's errors do not outlive the drawing.
        let said = |error: &dyn std::fmt::Display| anyhow!("cannot draw: {error}");
        root.fill(&WHITE).map_err(|error| said(&error))?;
        let panels = root.split_evenly((GATE.len() + 1, 1));
        for (panel, (key, heading)) in panels.iter().zip(GATE) {
            panel_of(panel, heading, &names, &counted(lines, key), 0.0).map_err(|error| said(&error))?;
        }
        let heading = "CPU time a message, B against A, with 95 % intervals (bench ab)";
        panel_of(&panels[GATE.len()], heading, &names, &compared(lines), f64::NAN)
            .map_err(|error| said(&error))?;
        root.present().map_err(|error| said(&error))?;
    }
    Ok(out)
}

/// One figure of the gate, by trace.
fn counted(lines: &[Value], key: &str) -> Series {
    let mut series = Series::new();
    for (place, line) in lines.iter().enumerate() {
        for (trace, figures) in line["gate"].as_object().into_iter().flatten() {
            if let Some(value) = figures[key].as_f64() {
                series.entry(trace.clone()).or_default().push((place as f64, value, None));
            }
        }
    }
    series
}

/// CPU time of B against A, by case and back end.
fn compared(lines: &[Value]) -> Series {
    let mut series = Series::new();
    for (place, line) in lines.iter().enumerate() {
        for row in line["ab"]["rows"].as_array().into_iter().flatten() {
            let name =
                format!("{} {}", row["case"].as_str().unwrap_or("?"), row["backend"].as_str().unwrap_or("?"));
            let number = |at: usize| row["cpu_us_per_message"]["b_against_a"][at].as_f64();
            if let (Some(mean), Some(low), Some(high)) = (number(0), number(1), number(2)) {
                series.entry(name).or_default().push((place as f64, mean, Some((low, high))));
            }
        }
    }
    series
}

/// One panel with its axis from `floor`, or around the values where that is no number.
fn panel_of(
    area: &Area<'_>,
    heading: &str,
    names: &[String],
    series: &Series,
    floor: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let values = || {
        let points = series.values().flatten();
        points.flat_map(|(_, value, interval)| {
            [*value, interval.map_or(*value, |(low, _)| low), interval.map_or(*value, |(_, high)| high)]
        })
    };
    let high = values().fold(if floor.is_nan() { 1.0 } else { f64::NAN }, f64::max);
    // Where ratios are drawn, 1 is among them: no difference.
    let low = if floor.is_nan() { values().fold(1.0, f64::min) - 0.02 } else { floor };
    let (low, high) = if high.is_nan() { (0.0, 1.0) } else { (low, high + (high - low) * 0.08) };
    let mut chart = ChartBuilder::on(area)
        .caption(heading, ("sans-serif", 18))
        .margin(10)
        .margin_right(20)
        .x_label_area_size(28)
        .y_label_area_size(64)
        .build_cartesian_2d(-0.5..names.len() as f64 - 0.5, low..high)?;
    let is_whole = |x: f64| (x - x.round()).abs() < 1e-6 && x >= 0.0;
    let name_of = |x: &f64| {
        if is_whole(*x) { names.get(*x as usize).cloned().unwrap_or_default() } else { String::new() }
    };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels((2 * names.len() + 1).min(16))
        .y_labels(6)
        .x_label_formatter(&name_of)
        .label_style(("sans-serif", 13))
        .draw()?;
    if series.is_empty() {
        return Ok(()); // a legend of nothing would be an empty frame
    }
    for ((name, points), color) in series.iter().zip(COLORS.iter().cycle()) {
        let line = points.iter().map(|(x, y, _)| (*x, *y));
        let last = points.last().map_or(0.0, |(_, value, _)| *value);
        let dots = line.clone().map(|point| Circle::new(point, 4, color.filled()));
        chart.draw_series(dots)?;
        let whiskers =
            points.iter().filter_map(|(x, _, interval)| interval.map(|(low, high)| (*x, low, high)));
        chart.draw_series(
            whiskers.map(|(x, low, high)| PathElement::new([(x, low), (x, high)], color.stroke_width(2))),
        )?;
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(2)))?
            .label(format!("{name}: {}", shown(last)))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}

/// Three or four digits.
fn shown(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_trace_and_comparison_is_drawn() {
        let gate = |instructions: f64| json!({ "submit": { "instructions": instructions, "copied_octets": 300.0, "syscalls": 0.1 } });
        let row = json!({ "case": "8x500", "backend": "tokio", "cpu_us_per_message": { "b_against_a": [0.98, 0.96, 1.01] } });
        let lines = [
            json!({ "revision": "aaaaaaaaaaaa", "gate": gate(4000.0) }),
            json!({ "revision": "bbbbbbbbbbbb", "gate": gate(3900.0), "ab": { "rows": [row] } }),
        ];
        let svg = draw(&lines).unwrap();
        for text in ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "submit: 3900", "8x500 tokio: 0.980", "system calls"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn one_revision_without_a_comparison_is_drawn_too() {
        let lines = [json!({ "revision": "a", "gate": { "mo": { "instructions": 1.0 } } })];
        assert!(draw(&lines).unwrap().contains("mo"));
    }
}
