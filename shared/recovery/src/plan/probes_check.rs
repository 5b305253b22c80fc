//! Checks of `detection.probes`: what could never work, never say anything, or say the wrong thing.

use std::collections::BTreeSet;

use super::check::Problems;
use super::{Address, Bound, Pace, Plan, Scheme};
use crate::site::SiteLabel;

/// The probe function itself has 55 s, some of which are for storing and judging.
const LONGEST_TIMEOUT: u32 = 40;
/// KPIs, references: each is a statement or a connection a minute, and a line of evidence.
const MOST_OF_A_KIND: usize = 20;

impl Plan {
    pub(super) fn check_probes(&self, found: &mut Problems) {
        let detection = &self.detection;
        let interval = detection.interval_seconds;
        found.positive("detection.interval_seconds", interval);
        if interval.0 >= detection.policy.freshness_seconds {
            found.add(
                "detection.interval_seconds",
                format!(
                    "is {}, but a signal counts for {} s only (detection.policy.freshness_seconds): nothing would be fresh when the next one comes",
                    interval.0, detection.policy.freshness_seconds
                ),
            );
        }
        let probes = &detection.probes;
        self.check_pace("sign_in", &probes.sign_in, found);
        self.check_pace("control_plane_api", &probes.control_plane_api, found);
        if let Some(canary) = &probes.sql_canary {
            self.check_pace("sql_canary", &canary.pace, found);
            check_text("sql_canary.warehouse", &canary.warehouse, found);
            check_text("sql_canary.sql", &canary.sql, found);
        }
        if let Some(canary) = &probes.cluster_canary {
            self.check_pace("cluster_canary", &canary.pace, found);
            found.positive(
                "detection.probes.cluster_canary.lookback_seconds",
                canary.lookback_seconds,
            );
        }
        if let Some(jobs) = &probes.job_success {
            self.check_pace("job_success", &jobs.pace, found);
            found.positive(
                "detection.probes.job_success.window_seconds",
                jobs.window_seconds,
            );
            if jobs.minimum_runs == 0 {
                found.add(
                    "detection.probes.job_success.minimum_runs",
                    "is 0; allowed is 1 or more: no share can be told of nothing",
                );
            }
            if jobs.baseline_failed_percent.0 > 99 {
                found.add(
                    "detection.probes.job_success.baseline_failed_percent",
                    "allowed is 0 to 99: above that nothing is ever too much",
                );
            }
        }
        self.check_kpis(found);
        self.check_stores_and_feeds(found);
        self.check_references(found);
    }

    fn check_kpis(&self, found: &mut Problems) {
        let kpis = &self.detection.probes.kpis;
        check_count("kpis", kpis.len(), found);
        let mut names = BTreeSet::new();
        for (index, kpi) in kpis.iter().enumerate() {
            let path = format!("kpis[{index}]");
            self.check_pace(&path, &kpi.pace, found);
            check_name(&path, &kpi.name, &mut names, found);
            check_text(&format!("{path}.warehouse"), &kpi.warehouse, found);
            check_text(&format!("{path}.sql"), &kpi.sql, found);
            let sound = match kpi.bound {
                Bound::AtMost(number) | Bound::AtLeast(number) => number.is_finite(),
                Bound::Between(least, most) => {
                    least.is_finite() && most.is_finite() && least <= most
                }
                Bound::Baseline { usual, factor } => {
                    usual.is_finite() && usual > 0.0 && factor.is_finite() && factor > 1.0
                }
            };
            if !sound {
                found.add(
                    format!("detection.probes.{path}.bound"),
                    "can never be met; allowed are numbers, the first of two not above the second, a usual value above 0 and a factor above 1",
                );
            }
        }
    }

    fn check_stores_and_feeds(&self, found: &mut Problems) {
        let probes = &self.detection.probes;
        if let Some(store) = &probes.object_store {
            self.check_pace("object_store", &store.pace, found);
            for label in SiteLabel::ALL {
                let path = format!("detection.probes.object_store.buckets.{label}");
                found.bucket(&path, store.buckets.get(label));
            }
            if store.buckets.primary == store.buckets.secondary {
                found.add(
                    "detection.probes.object_store.buckets.secondary",
                    "is the primary's bucket: it would tell of the primary's region",
                );
            }
        }
        if let Some(page) = &probes.status_page {
            self.check_pace("status_page", &page.pace, found);
            match page.url.parse::<Address>() {
                Err(problem) => found.add("detection.probes.status_page.url", problem),
                Ok(address) if address.scheme == Scheme::Tcp => found.add(
                    "detection.probes.status_page.url",
                    "is tcp; allowed is the https address of a JSON document",
                ),
                Ok(_) => {}
            }
            if let Some(regions) = &page.regions {
                for label in SiteLabel::ALL {
                    check_text(
                        &format!("status_page.regions.{label}"),
                        regions.get(label),
                        found,
                    );
                }
            }
        }
        if let Some(health) = &probes.aws_health {
            self.check_pace("aws_health", &health.pace, found);
        }
    }

    fn check_references(&self, found: &mut Problems) {
        let references = &self.detection.probes.references;
        check_count("references", references.len(), found);
        let (mut names, mut hosts) = (BTreeSet::new(), BTreeSet::new());
        for (index, reference) in references.iter().enumerate() {
            let path = format!("references[{index}]");
            self.check_pace(&path, &reference.pace, found);
            check_name(&path, &reference.name, &mut names, found);
            if reference.pace.period_seconds.is_some() {
                found.add(
                    format!("detection.probes.{path}.pace.period_seconds"),
                    "is not for references: an observation without them cannot tell that the prober is cut off",
                );
            }
            let address = match reference.url.parse::<Address>() {
                Ok(address) => address,
                Err(problem) => {
                    found.add(format!("detection.probes.{path}.url"), problem);
                    continue;
                }
            };
            for label in SiteLabel::ALL {
                let region = self.sites.get(label).region.as_str();
                if address.host.contains(region) {
                    found.add(
                        format!("detection.probes.{path}.url"),
                        format!("lies in the {label}'s region: it goes dark with the site"),
                    );
                }
            }
            hosts.insert((address.host, address.port));
        }
        if !references.is_empty() && hosts.len() < 2 {
            found.add(
                "detection.probes.references",
                "names one host; allowed are none, or two and more of different operators: one host's bad day would look like the prober's own",
            );
        }
    }

    fn check_pace(&self, probe: &str, pace: &Pace, found: &mut Problems) {
        let path = format!("detection.probes.{probe}.pace");
        // Sign-in and API call are a pace alone.
        let path = if matches!(probe, "sign_in" | "control_plane_api") {
            format!("detection.probes.{probe}")
        } else {
            path
        };
        if let Some(timeout) = pace.timeout_seconds
            && !(1..=LONGEST_TIMEOUT).contains(&timeout.0)
        {
            found.add(
                format!("{path}.timeout_seconds"),
                format!(
                    "is {}; allowed is 1 to {LONGEST_TIMEOUT}: the function itself has 55",
                    timeout.0
                ),
            );
        }
        if pace.latency_objective_ms == Some(0) {
            found.add(
                format!("{path}.latency_objective_ms"),
                "is 0; allowed is 1 or more",
            );
        }
        let Some(period) = pace.period_seconds else {
            return;
        };
        found.positive(&format!("{path}.period_seconds"), period);
        // The probe runs with the first start of the schedule that falls due, so up to one interval late. By then its last
        // signal must still be fresh, or the probe reads `Unknown` between its own signals.
        let freshness = self.detection.policy.freshness_seconds;
        let interval = self.detection.interval_seconds.0;
        let longest = freshness.saturating_sub(interval);
        if period.0 > longest {
            found.add(
                format!("{path}.period_seconds"),
                format!("is {}; allowed is up to {longest}: a signal counts for {freshness} s (detection.policy.freshness_seconds), and the next one may be {interval} s late (detection.interval_seconds)", period.0),
            );
        }
    }
}

fn check_text(path: &str, text: &str, found: &mut Problems) {
    if text.trim().is_empty() {
        found.add(format!("detection.probes.{path}"), "is empty");
    }
}

fn check_count(path: &str, count: usize, found: &mut Problems) {
    if count > MOST_OF_A_KIND {
        found.add(
            format!("detection.probes.{path}"),
            format!("are {count}; allowed are up to {MOST_OF_A_KIND}"),
        );
    }
}

fn check_name<'a>(path: &str, name: &'a str, names: &mut BTreeSet<&'a str>, found: &mut Problems) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
        found.add(
            format!("detection.probes.{path}.name"),
            format!("is {name:?}; allowed are 1 to 40 letters, digits, '-', '_' and '.'"),
        );
    }
    if !names.insert(name) {
        found.add(
            format!("detection.probes.{path}.name"),
            format!("{name:?} stands twice"),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problems(change: impl FnOnce(&mut Value)) -> String {
        let mut plan: Value =
            serde_json::from_str(include_str!("../../../../infra/plan.example.json")).unwrap();
        change(&mut plan["detection"]);
        match Plan::parse(plan.to_string().as_bytes()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_plan_without_probes_is_accepted() {
        assert_eq!(
            problems(|d| {
                d.as_object_mut().unwrap().remove("probes");
            }),
            ""
        );
    }

    #[test]
    fn a_probe_that_could_never_say_anything_is_refused() {
        type Change = fn(&mut Value);
        let table: [(&str, Change, &str); 15] = [
            (
                "period beyond freshness",
                |d| d["probes"]["sign_in"] = json!({"period_seconds": 121}),
                "detection.probes.sign_in.period_seconds: is 121; allowed is up to 120",
            ),
            (
                "period of a reference",
                |d| d["probes"]["references"][0]["pace"] = json!({"period_seconds": 60}),
                "detection.probes.references[0].pace.period_seconds: is not for references",
            ),
            (
                "timeout beyond the function's",
                |d| d["probes"]["sql_canary"]["pace"] = json!({"timeout_seconds": 50}),
                "detection.probes.sql_canary.pace.timeout_seconds: is 50; allowed is 1 to 40",
            ),
            (
                "interval beyond freshness",
                |d| d["interval_seconds"] = json!(180),
                "detection.interval_seconds: is 180, but a signal counts for 180 s only",
            ),
            (
                "objective of 0",
                |d| d["probes"]["sign_in"] = json!({"latency_objective_ms": 0}),
                "detection.probes.sign_in.latency_objective_ms: is 0",
            ),
            (
                "no warehouse",
                |d| d["probes"]["sql_canary"]["warehouse"] = json!(" "),
                "detection.probes.sql_canary.warehouse: is empty",
            ),
            (
                "share of nothing",
                |d| d["probes"]["job_success"]["minimum_runs"] = json!(0),
                "detection.probes.job_success.minimum_runs: is 0",
            ),
            (
                "bound upside down",
                |d| d["probes"]["kpis"][0]["bound"] = json!({"between": [2, 1]}),
                "detection.probes.kpis[0].bound: can never be met",
            ),
            (
                "KPI twice",
                |d| {
                    let kpi = d["probes"]["kpis"][0].clone();
                    d["probes"]["kpis"].as_array_mut().unwrap().push(kpi);
                },
                "stands twice",
            ),
            (
                "one bucket for both sites",
                |d| {
                    let buckets = &mut d["probes"]["object_store"]["buckets"];
                    buckets["secondary"] = buckets["primary"].clone();
                },
                "detection.probes.object_store.buckets.secondary: is the primary's bucket",
            ),
            (
                "status page without TLS",
                |d| d["probes"]["status_page"]["url"] = json!("http://status.example.com/x"),
                "detection.probes.status_page.url: http is for loopback addresses only",
            ),
            (
                "one reference",
                |d| {
                    d["probes"]["references"]
                        .as_array_mut()
                        .unwrap()
                        .truncate(1);
                },
                "detection.probes.references: names one host",
            ),
            (
                "reference in a site's region",
                |d| {
                    d["probes"]["references"][0]["url"] =
                        json!("https://sts.us-east-1.amazonaws.com/")
                },
                "detection.probes.references[0].url: lies in the primary's region",
            ),
            (
                "unknown probe",
                |d| d["probes"]["sqlcanary"] = json!({}),
                "detection.probes.sqlcanary: unknown field",
            ),
            (
                "name with a colon",
                |d| d["probes"]["kpis"][0]["name"] = json!("a:b"),
                "detection.probes.kpis[0].name: is \"a:b\"",
            ),
        ];
        for (name, change, expected) in table {
            let text = problems(change);
            assert!(
                text.contains(expected),
                "{name}: {text:?} lacks {expected:?}"
            );
        }
    }
}
