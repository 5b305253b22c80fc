//! The charts of the report, as SVG that is put into the page.

use plotters::prelude::*;
use recovery::report::Report;

const WIDTH: u32 = 860;
const ROW: u32 = 22;
const AXIS: u32 = 46;
/// The share of the width that names take.
const NAMES: f64 = 0.24;

const INK: RGBColor = RGBColor(22, 25, 29);
const DONE: RGBColor = RGBColor(11, 87, 176);
const OPEN: RGBColor = RGBColor(163, 22, 15);
const WAIT: RGBColor = RGBColor(138, 146, 156);

/// A bar of a chart: from, to, its name, what stands behind it, its colour.
struct Bar {
    from: f64,
    to: f64,
    name: String,
    text: String,
    colour: RGBColor,
}

/// When each stage ran, in seconds since the failure began. Empty if no stage ran.
pub(crate) fn gantt(report: &Report) -> Result<String, String> {
    let start = report.failing_since.unwrap_or(report.begun_at);
    let at = |moment: jiff::Timestamp| moment.duration_since(start).as_secs_f64().max(0.0);
    let mut bars = Vec::new();
    if report.failing_since.is_some() {
        bars.push(Bar {
            from: 0.0,
            to: at(report.begun_at),
            name: "(detection)".to_owned(),
            text: format!("{:.1} s", at(report.begun_at)),
            colour: WAIT,
        });
    }
    for record in &report.timeline {
        let end = record.finished_at.unwrap_or(report.closed_at);
        let (from, to) = (at(record.started_at), at(end));
        let attempt = match report.attempts {
            1 => String::new(),
            _ => format!(" ({})", record.attempt),
        };
        bars.push(Bar {
            from,
            to,
            name: format!("{:?}{attempt}", record.stage),
            text: match record.finished_at {
                Some(_) => format!("{:.1} s", to - from),
                None => "not done".to_owned(),
            },
            colour: if record.finished_at.is_some() {
                DONE
            } else {
                OPEN
            },
        });
    }
    let objective = report.rto_objective_seconds.map(f64::from);
    draw(&bars, objective, "s after the failure began")
}

/// The loss of each data set and group that is known.
pub(crate) fn losses(report: &Report) -> Result<String, String> {
    let bars: Vec<Bar> = report
        .rpo
        .iter()
        .filter_map(|(name, loss)| {
            let objective = report.rpo_objectives.get(name).copied();
            let loss = (*loss)? as f64;
            let met = objective.is_none_or(|objective| loss <= f64::from(objective));
            let against = objective.map_or_else(String::new, |o| format!(" of {o} s"));
            Some(Bar {
                from: 0.0,
                to: loss,
                name: name.clone(),
                text: format!("{loss} s{against}"),
                colour: if met { DONE } else { OPEN },
            })
        })
        .collect();
    draw(&bars, None, "s of data")
}

fn draw(bars: &[Bar], mark: Option<f64>, unit: &str) -> Result<String, String> {
    if bars.is_empty() {
        return Ok(String::new());
    }
    let rows = u32::try_from(bars.len()).unwrap_or(u32::MAX);
    let height = rows.saturating_mul(ROW).saturating_add(AXIS);
    let longest = bars.iter().map(|bar| bar.to).fold(1.0, f64::max);
    // A mark far away would press the bars together; the words beside the chart tell it.
    let mark = mark.filter(|mark| *mark <= longest * 1.5);
    let longest = longest.max(mark.unwrap_or(0.0)) * 1.12;
    let left = -longest * NAMES / (1.0 - NAMES);
    let mut svg = String::new();
    let problem = |error: &dyn std::fmt::Display| format!("a chart could not be drawn: {error}");
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .x_label_area_size(AXIS)
            .build_cartesian_2d(left..longest, 0.0..f64::from(rows))
            .map_err(|e| problem(&e))?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_label_formatter(&|x| match *x {
                x if x < 0.0 => String::new(),
                x if longest < 10.0 => format!("{x:.1}"),
                x => format!("{x:.0}"),
            })
            .x_desc(unit)
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.12))
            .axis_style(INK.mix(0.5))
            .label_style(("sans-serif", 13).into_font().color(&INK))
            .draw()
            .map_err(|e| problem(&e))?;
        let text = ("sans-serif", 13).into_font().color(&INK);
        let mut y = f64::from(rows);
        for bar in bars {
            y -= 1.0;
            let corners = [(bar.from, y + 0.18), (bar.to, y + 0.82)];
            let plane = chart.plotting_area();
            plane
                .draw(&Rectangle::new(corners, bar.colour.filled()))
                .map_err(|e| problem(&e))?;
            for (x, words) in [
                (left, bar.name.as_str()),
                (bar.to + longest * 0.006, bar.text.as_str()),
            ] {
                plane
                    .draw(&Text::new(words, (x, y + 0.78), text.clone()))
                    .map_err(|e| problem(&e))?;
            }
        }
        if let Some(mark) = mark {
            let line = [(mark, 0.0), (mark, f64::from(rows))];
            chart
                .plotting_area()
                .draw(&PathElement::new(line, OPEN.stroke_width(2)))
                .map_err(|e| problem(&e))?;
        }
        area.present().map_err(|e| problem(&e))?;
    }
    Ok(svg)
}
