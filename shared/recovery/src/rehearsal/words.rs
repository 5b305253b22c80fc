//! A rehearsal as a text for a terminal.

use std::fmt::Write as _;

use super::Rehearsal;
use crate::inventory::Subject;
use crate::report::words::{duration, kind};

/// The most lines of a list; all of it is in the JSON.
const MOST: usize = 8;

impl Rehearsal {
    /// The text.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut text = String::from("Your estate, rehearsed without touching it\n\n");
        let objects: Vec<String> = self
            .objects
            .iter()
            .map(|(name, all, live)| format!("{all} {} ({live} live)", kind(name)))
            .collect();
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "  {}; {} active runs\n",
            objects.join(", "),
            self.runs
        );
        let _ = writeln!(
            text,
            "  {:<18} {:>9} {:>9} {:>13}",
            "fence", "requests", "a second", "done after"
        );
        for lane in &self.fence {
            let _ = writeln!(
                text,
                "  {:<18} {:>9} {:>9.1} {:>13}",
                lane.lane,
                lane.requests,
                lane.per_second,
                duration(lane.seconds)
            );
        }
        let _ = writeln!(
            text,
            "  a site that answers is fenced and read back after {}\n",
            duration(self.fence_seconds)
        );
        let _ = writeln!(
            text,
            "  {:<18} {:>14} {:>14}",
            "recovery time", "site is dark", "site answers"
        );
        for part in &self.parts {
            let _ = writeln!(
                text,
                "  {:<18} {:>14} {:>14}",
                part.name,
                duration(part.dark_seconds),
                duration(part.reachable_seconds)
            );
        }
        let _ = writeln!(
            text,
            "  {:<18} {:>14} {:>14}\n",
            "RTO, predicted",
            duration(self.rto_dark_seconds),
            duration(self.rto_reachable_seconds)
        );
        self.findings_in_words(&mut text);
        text.push_str("\n  Assumed:\n");
        for assumption in &self.assumptions {
            let _ = writeln!(text, "  - {assumption}");
        }
        text
    }

    fn findings_in_words(&self, text: &mut String) {
        let found = &self.findings;
        let named = |subject: &Subject| format!("{} \"{}\"", kind(&subject.kind), subject.name);
        let all = |subjects: &[Subject]| subjects.iter().map(named).collect::<Vec<_>>();
        let lists: [(&str, Vec<String>); 7] = [
            (
                "cannot be fenced",
                found
                    .not_fenceable
                    .iter()
                    .map(|(subject, reason)| format!("{}: {reason}", named(subject)))
                    .collect(),
            ),
            (
                "ambiguous names",
                found
                    .ambiguous
                    .iter()
                    .map(|a| {
                        let blocks = if a.blocks { ", BLOCKS a run" } else { "" };
                        format!(
                            "{} \"{}\" stands {} times{blocks}",
                            kind(&a.kind),
                            a.key,
                            a.times
                        )
                    })
                    .collect(),
            ),
            (
                "pinned to a zone (should say \"auto\")",
                found
                    .zone_pinned
                    .iter()
                    .map(|p| format!("{} in {}", named(&p.subject), p.zone))
                    .collect(),
            ),
            (
                "schedules that cannot be read (fenced as if they fired at once)",
                found
                    .unreadable_schedules
                    .iter()
                    .map(|u| format!("{}: {}", named(&u.subject), u.expression))
                    .collect(),
            ),
            ("live at both sites on purpose", all(&found.live_at_both)),
            ("LIVE AT BOTH SITES: a split brain", all(&found.split)),
            (
                "live and left alone (dr-mode=excluded)",
                all(&found.excluded),
            ),
        ];
        for (title, lines) in lists {
            let _ = writeln!(
                text,
                "  {title}: {}",
                if lines.is_empty() {
                    "none".to_owned()
                } else {
                    lines.len().to_string()
                }
            );
            for line in lines.iter().take(MOST) {
                let _ = writeln!(text, "  - {line}");
            }
            if lines.len() > MOST {
                let _ = writeln!(text, "  - and {} more", lines.len() - MOST);
            }
        }
    }
}
