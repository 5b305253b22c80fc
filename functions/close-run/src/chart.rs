//! The charts of the report, as SVG that is put into the page. The page's style sheet knows the colours by their values, and has
//! others for the dark.

use plotters::prelude::*;
use recovery::report::{Phase, Report, words};

const WIDTH: u32 = 860;
const ROW: u32 = 24;
const AXIS: u32 = 46;
/// The share of the width that names take.
const NAMES: f64 = 0.22;

/// The width of a letter behind a bar, with what stands about it.
const LETTER: f64 = 9.0;

const INK: RGBColor = RGBColor(0x16, 0x19, 0x1D);
const BAD: RGBColor = RGBColor(0xA3, 0x16, 0x0F);
const DETECT: RGBColor = RGBColor(0x6B, 0x74, 0x80);
const DECIDE: RGBColor = RGBColor(0xB2, 0x6A, 0x00);
const FENCE: RGBColor = RGBColor(0x8A, 0x3F, 0xA0);
const ACTIVATE: RGBColor = RGBColor(0x0B, 0x57, 0xB0);
const VALIDATE: RGBColor = RGBColor(0x0F, 0x7B, 0x7B);
const SWITCH: RGBColor = RGBColor(0x17, 0x66, 0x3A);
/// What comes after the users have moved.
const AFTER: RGBColor = DETECT;

const fn colour(phase: Option<Phase>) -> RGBColor {
    match phase {
        Some(Phase::Decide) => DECIDE,
        Some(Phase::Fence) => FENCE,
        Some(Phase::Activate) => ACTIVATE,
        Some(Phase::Validate) => VALIDATE,
        Some(Phase::Switch) => SWITCH,
        None => AFTER,
    }
}

/// A bar of a chart: from, to, its name, what stands behind it, its colour.
struct Bar {
    from: f64,
    to: f64,
    name: String,
    text: String,
    colour: RGBColor,
}

/// When each stage ran, in seconds since the failure, or else the run, began. Empty if no stage ran.
pub(crate) fn gantt(report: &Report) -> Result<String, String> {
    let start = report.failing_since.unwrap_or(report.begun_at);
    let at = |moment: jiff::Timestamp| moment.duration_since(start).as_secs_f64().max(0.0);
    let mut bars = Vec::new();
    if report.failing_since.is_some() {
        bars.push(Bar {
            from: 0.0,
            to: at(report.begun_at),
            name: "Detection".to_owned(),
            text: words::duration(at(report.begun_at)),
            colour: DETECT,
        });
    }
    for record in &report.timeline {
        let end = record.finished_at.unwrap_or(report.closed_at);
        let (from, to) = (at(record.started_at), at(end));
        let attempt = match report.attempts {
            1 => String::new(),
            _ => format!(" ({})", record.attempt),
        };
        let done = record.finished_at.is_some();
        bars.push(Bar {
            from,
            to,
            name: format!("{}{attempt}", words::stage(record.stage)),
            text: if done {
                words::duration(to - from)
            } else {
                "not done".to_owned()
            },
            colour: if done {
                colour(Phase::of(record.stage))
            } else {
                BAD
            },
        });
    }
    let objective = report
        .rto_objective_seconds
        .filter(|_| report.mode.moves_users())
        .map(|seconds| at(report.rto_from.unwrap_or(start)) + f64::from(seconds));
    let axis = match report.failing_since {
        Some(_) => "seconds since the failure began",
        None => "seconds since the run began",
    };
    let about = format!(
        "Gantt chart: when each of {} stages ran. The table below has the figures.",
        bars.len()
    );
    draw(&bars, objective, axis, &about)
}

/// The loss of each data set and group that is known, against its objective.
pub(crate) fn losses(report: &Report) -> Result<String, String> {
    let bars: Vec<Bar> = report
        .data
        .iter()
        .filter_map(|set| {
            let loss = set.loss_seconds?;
            Some(Bar {
                from: 0.0,
                to: loss as f64,
                name: set.name.clone(),
                text: format!(
                    "{} of {}",
                    words::seconds(loss),
                    words::seconds(i64::from(set.objective_seconds))
                ),
                colour: if set.is_met() { ACTIVATE } else { BAD },
            })
        })
        .collect();
    let about = format!(
        "Bar chart: the loss of each of {} data sets. The table below has the figures.",
        bars.len()
    );
    draw(&bars, None, "seconds of data", &about)
}

fn draw(bars: &[Bar], mark: Option<f64>, unit: &str, about: &str) -> Result<String, String> {
    if bars.is_empty() {
        return Ok(String::new());
    }
    let rows = u32::try_from(bars.len()).unwrap_or(u32::MAX);
    let height = rows.saturating_mul(ROW).saturating_add(AXIS);
    let longest = bars.iter().map(|bar| bar.to).fold(1.0, f64::max);
    // A mark far away would press the bars together; the words beside the chart tell it.
    let mark = mark.filter(|mark| *mark <= longest * 1.5);
    // Room for the words behind the longest bar.
    let words = bars.iter().map(|bar| bar.text.chars().count()).max();
    let room = words.unwrap_or(0) as f64 * LETTER / (f64::from(WIDTH) * (1.0 - NAMES));
    let longest = longest.max(mark.unwrap_or(0.0)) / (1.0 - room.min(0.5));
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
        let text = ("sans-serif", 14).into_font().color(&INK);
        let mut y = f64::from(rows);
        for bar in bars {
            y -= 1.0;
            // What took no time to speak of is seen all the same.
            let to = bar.to.max(bar.from + longest * 0.003);
            let corners = [(bar.from, y + 0.16), (to, y + 0.84)];
            let plane = chart.plotting_area();
            plane
                .draw(&Rectangle::new(corners, bar.colour.filled()))
                .map_err(|e| problem(&e))?;
            for (x, words) in [
                (left, bar.name.as_str()),
                (to + longest * 0.008, bar.text.as_str()),
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
                .draw(&PathElement::new(line, BAD.stroke_width(2)))
                .map_err(|e| problem(&e))?;
        }
        area.present().map_err(|e| problem(&e))?;
    }
    Ok(svg.replacen(
        "<svg ",
        &format!("<svg role=\"img\" aria-label=\"{about}\" "),
        1,
    ))
}
