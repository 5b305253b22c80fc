//! Small charts as shapes with coordinates; the template draws them as SVG. What a shape means is told by its height or its
//! pattern too, never by colour alone.

use jiff::Timestamp;
use recovery::approval::Loss;
use recovery::approval::message::{clock, loss};
use recovery::verdict::{Observation, OutcomeKind, Probe, Vantage};
use std::collections::BTreeMap;

/// The width of every chart, in units of its own: about the width of a phone.
pub(crate) const WIDTH: u32 = 340;
/// The height of a row's label.
const LABEL: u32 = 16;
/// The height of a row's marks.
const BAND: u32 = 18;
/// Between two rows.
const GAP: u32 = 8;
/// More data sets than these stand in the list only.
const MOST_LOSSES: usize = 12;

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    pub(crate) x: f64,
    pub(crate) y: u32,
    pub(crate) width: f64,
    pub(crate) height: u32,
    pub(crate) class: &'static str,
}

/// A row of marks under its label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) label_y: u32,
    pub(crate) base_y: u32,
    pub(crate) marks: Vec<Mark>,
}

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chart {
    pub(crate) height: u32,
    /// What it shows, for those who do not see it.
    pub(crate) summary: String,
    pub(crate) rows: Vec<Row>,
    /// A vertical line: since when it fails, or nothing.
    pub(crate) line: Option<f64>,
    /// What stands below, at the left and at the right.
    pub(crate) ends: Option<(String, String)>,
    /// Where that stands.
    pub(crate) ends_y: u32,
}

/// The signals of a site over time: one row for each vantage and probe, those in trouble first. `None` without observations.
pub(crate) fn signals(observations: &[Observation], since: Option<Timestamp>) -> Option<Chart> {
    let first = observations.iter().map(|o| o.at).min()?;
    let last = observations.iter().map(|o| o.at).max()?;
    let mut series: BTreeMap<(&Probe, &Vantage), Vec<(Timestamp, OutcomeKind)>> = BTreeMap::new();
    for seen in observations {
        for signal in &seen.signals {
            series
                .entry((&signal.probe, &seen.vantage))
                .or_default()
                .push((seen.at, signal.outcome.kind()));
        }
    }
    let mut series: Vec<_> = series.into_iter().collect();
    series.sort_by_key(|(_, seen)| std::cmp::Reverse(failed(seen)));
    let span = last.duration_since(first).as_secs_f64().max(1.0);
    let slots = series.iter().map(|(_, seen)| seen.len()).max().unwrap_or(1);
    let slot = f64::from(WIDTH) / f64::from(u32::try_from(slots.max(1)).unwrap_or(u32::MAX));
    let x = |at: Timestamp| {
        let share = at.duration_since(first).as_secs_f64() / span;
        rounded(share.clamp(0.0, 1.0) * (f64::from(WIDTH) - slot))
    };
    let mut told = Vec::new();
    let mut rows = Vec::new();
    for ((probe, vantage), seen) in &series {
        let (label_y, base_y) = place(rows.len());
        told.push(format!(
            "{probe} from {vantage}: {} of {} failed",
            failed(seen),
            seen.len()
        ));
        rows.push(Row {
            label: format!("{probe} from {vantage}"),
            label_y,
            base_y,
            marks: seen
                .iter()
                .map(|(at, kind)| {
                    let (class, height) = look(*kind);
                    Mark {
                        x: x(*at),
                        y: base_y.saturating_sub(height),
                        width: rounded((slot * 0.8).clamp(1.0, 14.0)),
                        height,
                        class,
                    }
                })
                .collect(),
        });
    }
    let (_, end) = place(rows.len());
    Some(Chart {
        height: end - BAND + 4,
        summary: format!(
            "Signals from {} to {}. {}.",
            clock(first),
            clock(last),
            told.join("; ")
        ),
        rows,
        line: since
            .filter(|since| *since >= first && *since <= last)
            .map(x),
        ends: Some((clock(first), clock(last))),
        ends_y: end - BAND,
    })
}

fn failed(seen: &[(Timestamp, OutcomeKind)]) -> usize {
    seen.iter()
        .filter(|(_, kind)| matches!(kind, OutcomeKind::Down | OutcomeKind::Degraded))
        .count()
}

/// Class and height.
const fn look(kind: OutcomeKind) -> (&'static str, u32) {
    match kind {
        OutcomeKind::Healthy => ("up", 5),
        OutcomeKind::Degraded => ("degraded", 11),
        OutcomeKind::Down => ("down", BAND),
        OutcomeKind::Unknown => ("unknown", 9),
    }
}

/// The label's and the marks' base line of a row.
fn place(row: usize) -> (u32, u32) {
    let top = u32::try_from(row)
        .unwrap_or_default()
        .saturating_mul(LABEL + BAND + GAP);
    (top + LABEL - 4, top + LABEL + BAND)
}

/// The predicted losses against their objectives: the line is the objective, for all rows at the same place. `None` without losses.
pub(crate) fn losses(losses: &[Loss]) -> Option<Chart> {
    if losses.is_empty() {
        return None;
    }
    // The objective stands at a third; what is three times as much fills the row.
    let objective = f64::from(WIDTH) / 3.0;
    let mut rows = Vec::new();
    for each in losses.iter().take(MOST_LOSSES) {
        let (label_y, base_y) = place(rows.len());
        let (width, class) = match each.loss_seconds {
            None => (f64::from(WIDTH), "unknown"),
            Some(seconds) => {
                let share = seconds.max(0) as f64 / each.objective_seconds.max(1) as f64;
                let class = if each.needs_override() { "down" } else { "up" };
                ((share * objective).clamp(2.0, f64::from(WIDTH)), class)
            }
        };
        rows.push(Row {
            label: loss(each),
            label_y,
            base_y,
            marks: vec![Mark {
                x: 0.0,
                y: base_y - 12,
                width: rounded(width),
                height: 12,
                class,
            }],
        });
    }
    let told: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    let (_, end) = place(rows.len());
    Some(Chart {
        height: end - BAND + 4,
        summary: format!("Data that would be lost. {}.", told.join("; ")),
        line: Some(rounded(objective)),
        ends: Some((String::new(), "the line is the objective".to_owned())),
        ends_y: end - BAND,
        rows,
    })
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use recovery::site::SiteLabel;
    use recovery::verdict::{DownCause, Outcome, Signal};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seen(second: i64, outcome: Outcome) -> Observation {
        Observation {
            at: at(second),
            vantage: Vantage::new("us-west-2"),
            site: SiteLabel::Primary,
            signals: vec![
                Signal::new(Probe::SignIn, Outcome::Healthy),
                Signal::new(Probe::ControlPlaneApi, outcome),
            ],
        }
    }

    #[test]
    fn what_fails_comes_first_stands_higher_and_is_told_in_words() {
        let down: Outcome = DownCause::Http5xx.into();
        let chart = signals(
            &[
                seen(0, Outcome::Healthy),
                seen(60, down.clone()),
                seen(120, down),
            ],
            Some(at(60)),
        )
        .unwrap();
        let api = &chart.rows[0];
        assert_eq!(api.label, "control-plane-api from us-west-2");
        assert_eq!(
            api.marks.iter().map(|m| m.class).collect::<Vec<_>>(),
            ["up", "down", "down"]
        );
        assert!(api.marks[1].height > api.marks[0].height);
        assert!(chart.summary.contains("2 of 3 failed"), "{}", chart.summary);
        assert_eq!(chart.line, Some(api.marks[1].x));
        for row in &chart.rows {
            for mark in &row.marks {
                assert!(mark.x >= 0.0 && mark.x + mark.width <= f64::from(WIDTH));
                assert!(mark.y + mark.height <= chart.height);
            }
        }
    }

    #[test]
    fn without_observations_there_is_no_chart() {
        assert_eq!(signals(&[], None), None);
        assert_eq!(losses(&[]), None);
    }

    #[test]
    fn a_loss_beyond_the_objective_crosses_the_line_and_an_unknown_one_fills_the_row() {
        let loss = |seconds| Loss {
            name: "lake".into(),
            loss_seconds: seconds,
            objective_seconds: 900,
        };
        let chart = losses(&[loss(None), loss(Some(901)), loss(Some(-5))]).unwrap();
        let line = chart.line.unwrap();
        let widths: Vec<f64> = chart.rows.iter().map(|row| row.marks[0].width).collect();
        assert_eq!(widths[0], f64::from(WIDTH));
        assert!(widths[1] > line && widths[2] < line);
        assert!(chart.summary.contains("UNKNOWN"));
    }
}
