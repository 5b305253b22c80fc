//! The report in Markdown, short enough for a message: the page has the rest.

use super::{Report, words};

impl Report {
    /// The objective of the run against what it took, for example `24.3 s of 600 s: met`.
    #[must_use]
    pub fn rto_in_words(&self) -> String {
        let objective = self.rto_objective_seconds;
        match (self.rto_seconds, objective) {
            (None, _) => "not reached".to_owned(),
            (Some(rto), None) => words::duration(rto),
            (Some(rto), Some(objective)) => {
                let verdict = if rto <= f64::from(objective) {
                    "met"
                } else {
                    "MISSED"
                };
                format!(
                    "{} of {}: {verdict}",
                    words::duration(rto),
                    words::seconds(i64::from(objective))
                )
            }
        }
    }

    /// One line for each data set and group, worst first as in the request.
    #[must_use]
    pub fn rpo_in_words(&self) -> Vec<(String, String)> {
        self.rpo
            .iter()
            .map(|(name, loss)| {
                let objective = self.rpo_objectives.get(name);
                let words = match (loss, objective) {
                    (None, _) => "UNKNOWN".to_owned(),
                    (Some(loss), None) => words::seconds(*loss),
                    (Some(loss), Some(objective)) => {
                        let verdict = if *loss <= i64::from(*objective) {
                            "met"
                        } else {
                            "MISSED"
                        };
                        format!(
                            "{} of {}: {verdict}",
                            words::seconds(*loss),
                            words::seconds(i64::from(*objective))
                        )
                    }
                };
                (name.clone(), words)
            })
            .collect()
    }

    /// The summary that goes out when a run has ended.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut lines = vec![
            format!("# {} of {}: {}", self.run, self.plan, self.outcome.as_str()),
            String::new(),
            self.reason.clone(),
            String::new(),
            format!("**Next:** {}", self.next),
            String::new(),
            format!("- {} to {}", self.from, self.target),
            format!(
                "- Verdict: {}",
                self.verdict
                    .map_or_else(|| "none".to_owned(), |v| v.to_string())
            ),
            format!("- RTO: {}", self.rto_in_words()),
            format!("- Got through the fence: {}", self.got_through.in_words()),
        ];
        lines.extend(self.debts.iter().map(|debts| {
            let (count, key) = (debts.count, &debts.key);
            format!("- Owed: {count} objects are not up, and not forgotten: {key}")
        }));
        lines.extend(
            self.rpo_in_words()
                .into_iter()
                .map(|(name, words)| format!("- RPO of {name}: {words}")),
        );
        lines.push(String::new());
        lines.push("| phase | seconds |".to_owned());
        lines.push("|---|---|".to_owned());
        lines.extend(self.clock.phases().into_iter().map(|(name, seconds)| {
            let seconds = seconds.map_or_else(|| "not seen".to_owned(), |s| format!("{s:.1}"));
            format!("| {name} | {seconds} |")
        }));
        let slower: Vec<String> = self
            .compared
            .iter()
            .filter(|c| c.seconds > c.p75)
            .map(|c| {
                format!(
                    "- {:?}: {:.1} s, above three quarters of {} earlier runs ({:.1} s)",
                    c.stage, c.seconds, c.runs, c.p75
                )
            })
            .collect();
        if !slower.is_empty() {
            lines.push(String::new());
            lines.push("Slower than before:".to_owned());
            lines.extend(slower);
        }
        let failed: Vec<String> = self
            .checks
            .iter()
            .filter(|c| !c.passed)
            .map(|c| format!("- {}: {}", c.name, c.detail))
            .collect();
        if !failed.is_empty() {
            lines.push(String::new());
            lines.push("Failed checks:".to_owned());
            lines.extend(failed);
        }
        if !self.left_to_do.is_empty() {
            lines.push(String::new());
            lines.push("Left for people:".to_owned());
            lines.extend(
                self.left_to_do
                    .iter()
                    .take(10)
                    .map(|line| format!("- {line}")),
            );
        }
        let open = self.lessons.iter().filter(|l| l.resolved.is_none()).count();
        if open > 0 {
            lines.push(String::new());
            lines.push(format!("Open lessons: {open}"));
        }
        lines.push(String::new());
        lines.push(format!(
            "Report: runs/{0}/report.html, runs/{0}/report.json",
            self.run
        ));
        lines.push(String::new());
        lines.join("\n")
    }
}
