//! Plots as SVG that follows the page's colours.
//!
//! The plotting library knows fixed colours only, so everything is drawn in placeholder colours which are then
//! replaced by the page's CSS variables: one file is readable in light and in dark.

use std::error::Error;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::coord::{Shift, types::RangedCoordf64};
use plotters::prelude::*;

use super::{FaultLine, PhaseLine};
use crate::progress::seconds;

/// One plot over the time of a run.
pub(super) struct Plot<'a> {
    /// Names and points; x in seconds.
    pub(super) series: Vec<Series<'a>>,
    pub(super) scale: Scale,
    pub(super) faults: &'a [FaultLine],
    pub(super) phases: &'a [PhaseLine],
    /// End of the x axis in seconds.
    pub(super) length: f64,
}

/// One line.
pub(super) struct Series<'a> {
    pub(super) name: &'a str,
    pub(super) points: Vec<(f64, f64)>,
    /// Whether the area below is tinted.
    pub(super) filled: bool,
}

/// What the y axis shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Messages a second, linear.
    Rate,
    /// Seconds, logarithmic.
    Time,
}

impl Plot<'_> {
    /// The plot as SVG; none when no series has a point.
    pub(super) fn svg(&self) -> Option<String> {
        let values = || self.series.iter().flat_map(|series| &series.points).map(|(_, y)| *y);
        let max = values().fold(f64::NAN, f64::max);
        if max.is_nan() {
            return None;
        }
        let mut out = String::new();
        let area = SVGBackend::with_string(&mut out, SIZE).into_drawing_area();
        let drawn = match self.scale {
            Scale::Rate => self.draw(&area, 0.0..(max * 1.08).max(1.0), 0.0),
            Scale::Time => {
                let low = decade_below(values().fold(f64::INFINITY, f64::min).max(1e-6));
                let high = decade_below(max.max(1e-6)) * 10.0;
                self.draw(&area, (low..high).log_scale(), low)
            }
        };
        drop(area);
        drawn.ok().map(|()| themed(&out))
    }

    fn draw<Y>(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        y: Y,
        floor: f64,
    ) -> Result<(), Box<dyn Error>>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(area)
            .margin_top(18)
            .margin_right(12)
            .x_label_area_size(26)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..self.length.max(1.0), y)?;
        let text = ("sans-serif", 16).into_font().color(&TEXT);
        let format_y = |value: &f64| match self.scale {
            Scale::Rate => rate(*value),
            Scale::Time => seconds(*value),
        };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .x_labels(12)
            .y_labels(7)
            .x_label_style(text.clone())
            .y_label_style(text)
            .x_label_formatter(&|x| format!("{x:.0} s"))
            .y_label_formatter(&format_y)
            .draw()?;
        self.background(area, &chart)?;
        for (index, series) in self.series.iter().enumerate() {
            let color = RGBColor(1, 2, index as u8 + 1);
            for run in runs(&series.points) {
                if series.filled {
                    chart.draw_series(AreaSeries::new(run.iter().copied(), floor, color.mix(0.16)))?;
                }
                chart.draw_series(LineSeries::new(run.iter().copied(), color.stroke_width(2)))?;
                if let [only] = run {
                    chart.draw_series([Circle::new(*only, 3, color.filled())])?;
                }
            }
        }
        Ok(())
    }

    /// Faults as shaded spans, begins of phases as thin lines, both with their names above the plot.
    fn background<Y>(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        chart: &ChartContext<'_, SVGBackend<'_>, Cartesian2d<RangedCoordf64, Y>>,
    ) -> Result<(), Box<dyn Error>>
    where
        Y: Ranged<ValueType = f64>,
    {
        let (across, down) =
            (chart.plotting_area().get_x_axis_pixel_range(), chart.plotting_area().get_y_axis_pixel_range());
        let (left, right) = (across.start, across.end);
        let pixel =
            |x: f64| left + ((x / self.length.max(1.0)).clamp(0.0, 1.0) * f64::from(right - left)) as i32;
        let (top, bottom) = (down.start.min(down.end), down.start.max(down.end));
        for fault in self.faults {
            let corners = [(pixel(fault.from), top), (pixel(fault.to), bottom)];
            area.draw(&Rectangle::new(corners, FAULT.mix(0.14).filled()))?;
            let style = ("sans-serif", 15).into_font().color(&FAULT);
            area.draw(&Text::new(fault.name.clone(), (pixel(fault.from) + 4, top + 4), style))?;
        }
        for phase in self.phases.iter().filter(|phase| phase.to > phase.from) {
            let x = pixel(phase.from);
            area.draw(&PathElement::new([(x, top - 14), (x, bottom)], GRID.stroke_width(1)))?;
            let style = ("sans-serif", 15).into_font().color(&FAINT);
            area.draw(&Text::new(phase.name.clone(), (x + 4, top - 14), style))?;
        }
        Ok(())
    }

    /// The names of the series beside their colours, as HTML.
    pub(super) fn legend(&self) -> String {
        let names = self.series.iter().enumerate().filter(|(_, series)| !series.points.is_empty());
        let entries = names.map(|(index, series)| {
            let name = super::html::escape(series.name);
            format!("<span><i style=\"background:var(--c{})\"></i>{name}</span>", index + 1)
        });
        format!("<p class=legend>{}</p>", entries.collect::<String>())
    }
}

/// Stretches without a gap: a second in which nothing was answered has no latency.
fn runs(points: &[(f64, f64)]) -> impl Iterator<Item = &[(f64, f64)]> {
    points.chunk_by(|a, b| b.0 - a.0 < 1.5)
}

fn rate(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.1} M", v / 1e6),
        v if v >= 10e3 => format!("{:.0} k", v / 1e3),
        v if v >= 1e3 => format!("{:.1} k", v / 1e3),
        v => format!("{v:.0}"),
    }
}

fn decade_below(value: f64) -> f64 {
    10f64.powf(value.log10().floor())
}

fn themed(svg: &str) -> String {
    let mut out = svg.replace("#010101", "var(--text)").replace("#010102", "var(--grid)");
    out = out.replace("#010103", "var(--faint)").replace("#010104", "var(--bad)");
    for index in 1..=6 {
        out = out.replace(&format!("#01020{index}"), &format!("var(--c{index})"));
    }
    out
}

const SIZE: (u32, u32) = (960, 300);
const TEXT: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(1, 1, 2);
const FAINT: RGBColor = RGBColor(1, 1, 3);
const FAULT: RGBColor = RGBColor(1, 1, 4);
