//! Waking a person: every verdict but `Healthy` does so after its `page_after`, for either site.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Telling;
use crate::plan::{Detection, Plan};
use crate::site::SiteLabel;
use crate::verdict::{Judgement, Verdict};

/// The version of the document.
pub const PAGING_FORMAT: u32 = 1;

/// `incidents/paging.json`: what people were woken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paging {
    /// Always [`PAGING_FORMAT`].
    pub format_version: u32,
    /// The sites that are not `Healthy`.
    pub sites: BTreeMap<SiteLabel, Spell>,
}

/// The time in which a site is not `Healthy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spell {
    /// Since when.
    pub since: Timestamp,
    /// The verdicts for which somebody was woken.
    pub pages: BTreeMap<Verdict, Telling>,
    /// The message that it is over.
    pub over: Option<Telling>,
}

/// What is to be told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Paged {
    /// The site has not been `Healthy` for long enough.
    Trouble(Verdict),
    /// It is `Healthy` again, and somebody was woken.
    Over,
}

/// What is wanted of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Since when the site is not, or was not, `Healthy`.
    pub since: Timestamp,
    /// What is to be told.
    pub page: Paged,
}

impl Default for Paging {
    fn default() -> Self {
        Self {
            format_version: PAGING_FORMAT,
            sites: BTreeMap::new(),
        }
    }
}

impl Paging {
    /// Takes a verdict in, and claims what is to be told. A spell begins with the first verdict that is not `Healthy` and goes on
    /// whatever name the trouble has: it is over with `Healthy` only. Each verdict wakes once in a spell.
    pub fn follow(
        &mut self,
        detection: &Detection,
        site: SiteLabel,
        verdict: Verdict,
        now: Timestamp,
    ) -> Option<Wanted> {
        let Some(after) = detection.page_after(verdict) else {
            return self.recovered(site, now);
        };
        let spell = self.sites.entry(site).or_insert_with(|| Spell {
            since: now,
            pages: BTreeMap::new(),
            over: None,
        });
        // Trouble is back before anybody was told of its end.
        spell.over = None;
        if now.duration_since(spell.since) < after.signed() {
            return None;
        }
        let claim = Telling::claim(spell.pages.get(&verdict), now)?;
        spell.pages.insert(verdict, claim);
        Some(Wanted {
            since: spell.since,
            page: Paged::Trouble(verdict),
        })
    }

    fn recovered(&mut self, site: SiteLabel, now: Timestamp) -> Option<Wanted> {
        let spell = self.sites.get_mut(&site)?;
        if spell.pages.is_empty() {
            self.sites.remove(&site);
            return None;
        }
        let claim = Telling::claim(spell.over.as_ref(), now)?;
        spell.over = Some(claim);
        Some(Wanted {
            since: spell.since,
            page: Paged::Over,
        })
    }

    /// Notes what was told.
    pub fn told(&mut self, site: SiteLabel, page: Paged, now: Timestamp) {
        match page {
            Paged::Trouble(verdict) => {
                let telling = self.sites.get_mut(&site);
                if let Some(telling) = telling.and_then(|spell| spell.pages.get_mut(&verdict)) {
                    *telling = telling.sent(now);
                }
            }
            Paged::Over => {
                // Trouble that came back meanwhile is not over.
                if self.sites.get(&site).is_some_and(|s| s.over.is_some()) {
                    self.sites.remove(&site);
                }
            }
        }
    }
}

/// A page: subject and text.
#[must_use]
pub fn page_message(
    plan: &Plan,
    site: SiteLabel,
    wanted: Wanted,
    judged: &Judgement,
    active: bool,
) -> (String, String) {
    let role = if active { "active" } else { "standby" };
    let since = wanted.since;
    match wanted.page {
        Paged::Over => (
            format!("[{}] the {site} site is Healthy again", plan.name),
            format!("The {site} site ({role}) is Healthy. It was not since {since}.\n"),
        ),
        Paged::Trouble(verdict) => {
            let mut text = format!(
                "The verdict on the {site} site ({role}) is {verdict}; it has not been Healthy since {since}.\n\
                 What it means and what to do: runbook, \"Verdicts\".\n"
            );
            for (title, lines) in [
                ("No run starts by itself on it", &judged.why_not),
                ("What the probes saw", &judged.evidence),
            ] {
                if !lines.is_empty() {
                    text.push_str(&format!("\n{title}:\n{}\n", lines.join("\n")));
                }
            }
            (
                format!("[{}] page: {verdict} on the {site} site", plan.name),
                text,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection() -> Detection {
        let example = include_str!("../../../../infra/plan.example.json");
        Plan::parse(example.as_bytes()).unwrap().detection
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn trouble_pages_after_its_time_whatever_it_is_called_meanwhile() {
        let (detection, site) = (detection(), SiteLabel::Primary);
        let mut paging = Paging::default();
        let mut follow = |verdict, second| {
            let wanted = paging.follow(&detection, site, verdict, at(second));
            if let Some(wanted) = wanted {
                paging.told(site, wanted.page, at(second));
            }
            wanted.map(|w| w.page)
        };
        assert_eq!(follow(Verdict::Suspect, 0), None);
        assert_eq!(follow(Verdict::Healthy, 60), None, "noise");
        for second in (120..1020).step_by(60) {
            let verdict = if second % 120 == 0 {
                Verdict::Suspect
            } else {
                Verdict::Degraded
            };
            assert_eq!(follow(verdict, second), None, "{second}");
        }
        let degraded = Paged::Trouble(Verdict::Degraded);
        assert_eq!(follow(Verdict::Degraded, 1020), Some(degraded));
        assert_eq!(follow(Verdict::Degraded, 1080), None, "once");
        let down = Paged::Trouble(Verdict::ControlPlaneDown);
        assert_eq!(follow(Verdict::ControlPlaneDown, 1140), Some(down));
        assert_eq!(follow(Verdict::Healthy, 1200), Some(Paged::Over));
        assert_eq!(follow(Verdict::Healthy, 1260), None);
        assert_eq!(
            follow(Verdict::RegionDown, 1300),
            Some(Paged::Trouble(Verdict::RegionDown)),
            "at once"
        );
    }

    #[test]
    fn a_page_whose_sender_died_is_sent_by_the_next() {
        let (detection, site) = (detection(), SiteLabel::Secondary);
        let mut paging = Paging::default();
        let follow = |paging: &mut Paging, second| {
            paging.follow(&detection, site, Verdict::RegionDown, at(second))
        };
        assert!(follow(&mut paging, 0).is_some());
        assert!(follow(&mut paging, 1).is_none(), "another one is about to");
        assert!(follow(&mut paging, 60).is_some());
    }
}
