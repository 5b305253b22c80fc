//! Everything that this vantage sees of both sites now: each probe that is due, all at the same time, each at its own pace.

use std::time::Duration;

use aws::buckets::Buckets;
use aws::{Failure, Ports};
use databricks::Workspace;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use jiff::Timestamp;
use recovery::plan::{Plan, ProbePace, Probes};
use recovery::signals::Signals;
use recovery::site::{Region, SiteLabel};
use recovery::verdict::{DownCause, Observation, Outcome, Probe, Signal, UnknownCause, Vantage};
use sites::{Purpose, Role, connect};

use crate::probes::clusters::{self, Running};
use crate::probes::sql::{self, Warehouses};
use crate::probes::store::{self, Place};
use crate::probes::{Finding, Seen, feeds, jobs, paced, references, workspace};

/// What probes are carried out with.
pub struct Prober {
    /// The ports; plan, state and parameters lie in the control region.
    pub ports: Ports,
    /// The region in which this function runs, and so the name of its vantage.
    pub vantage: Region,
    /// Clients of the sites' regions.
    pub buckets: Buckets,
    running: Running,
}

/// What was seen, and the names that were resolved for it.
pub(crate) struct Round {
    pub(crate) observations: Vec<Observation>,
    pub(crate) resolved: Vec<String>,
}

/// A status page as it was fetched for both sites.
struct Fetched {
    body: feeds::Page,
    times: Option<wire::Times>,
}

impl Prober {
    /// A prober.
    #[must_use]
    pub fn new(ports: Ports, vantage: Region, buckets: Buckets) -> Self {
        Self {
            ports,
            vantage,
            buckets,
            running: Running::default(),
        }
    }

    /// Probes both sites. `before` is what this vantage saw until now: it tells what is due, and which names once resolved.
    /// `active` is the active site, if that is known.
    pub(crate) async fn observe(
        &self,
        plan: &Plan,
        before: &Signals,
        active: Option<SiteLabel>,
    ) -> Round {
        let at = self.ports.now();
        let (references, page) = futures::join!(self.references(plan), self.page(plan, before, at));
        let seen = join_all(
            SiteLabel::ALL.map(|site| self.site(plan, before, site, active, at, page.as_ref())),
        )
        .await;
        let mut resolved: Vec<String> = Vec::new();
        let mut observations = Vec::new();
        for (site, mut seen) in SiteLabel::ALL.into_iter().zip(seen) {
            seen.extend(references.iter().cloned());
            resolved.extend(
                seen.iter()
                    .filter(|one| one.resolved)
                    .filter_map(|one| one.host.clone()),
            );
            observations.push(Observation {
                at,
                vantage: Vantage::new(self.vantage.as_str()),
                site,
                signals: seen.into_iter().map(|one| named(one, before, at)).collect(),
            });
        }
        resolved.sort();
        resolved.dedup();
        Round {
            observations,
            resolved,
        }
    }

    /// The references tell of the prober, not of a site: asked once for both.
    async fn references(&self, plan: &Plan) -> Vec<Seen> {
        let detection = &plan.detection;
        join_all(detection.probes.references.iter().map(|reference| {
            let probe = Probe::Reference(Some(reference.name.clone()));
            let pace = detection.pace(&probe);
            paced(probe, pace, references::ask(reference, pace))
        }))
        .await
    }

    async fn page(&self, plan: &Plan, before: &Signals, at: Timestamp) -> Option<Fetched> {
        let page = plan.detection.probes.status_page.as_ref()?;
        let due = SiteLabel::ALL
            .iter()
            .any(|site| is_due(plan, before, *site, &Probe::StatusPage, at));
        if !due {
            return None;
        }
        let pace = plan.detection.pace(&Probe::StatusPage);
        let (times, body) = feeds::fetch(page, pace.timeout).await;
        Some(Fetched { body, times })
    }

    async fn site(
        &self,
        plan: &Plan,
        before: &Signals,
        site: SiteLabel,
        active: Option<SiteLabel>,
        at: Timestamp,
        page: Option<&Fetched>,
    ) -> Vec<Seen> {
        let detection = &plan.detection;
        let longest = detection.probe_timeout_seconds.duration();
        let limit = detection.pace(&Probe::ControlPlaneApi).timeout.max(longest);
        let connected = connect(
            &self.ports,
            plan,
            site,
            Role::Observer,
            Purpose::Probe(limit),
        )
        .await;
        let warehouses = Warehouses::new();
        let asked = Asked {
            prober: self,
            plan,
            site,
            at,
            connected: &connected,
            warehouses: &warehouses,
            page,
        };
        let wanted = detection.probes.all().into_iter().filter(|probe| {
            !probe.is_reference()
                && (active == Some(site) || !is_of_active_site(probe))
                && is_due(plan, before, site, probe, at)
        });
        join_all(wanted.map(|probe| {
            let pace = detection.pace(&probe);
            let work = asked.ask(&detection.probes, &probe, pace);
            paced(probe.clone(), pace, work)
        }))
        .await
    }
}

/// Whether a probe speaks of what the active site runs, so that the standby has nothing to show.
const fn is_of_active_site(probe: &Probe) -> bool {
    matches!(
        probe,
        Probe::ClusterCanary | Probe::JobSuccess | Probe::Kpi(_)
    )
}

fn is_due(plan: &Plan, before: &Signals, site: SiteLabel, probe: &Probe, at: Timestamp) -> bool {
    let detection = &plan.detection;
    let period = detection.pace(probe).period;
    before.is_due(site, probe, period, detection.interval_seconds, at)
}

/// A name that this vantage resolved within a day and cannot resolve now is lost; one that it never did is not found.
fn named(seen: Seen, before: &Signals, at: Timestamp) -> Signal {
    let Some(host) = &seen.host else {
        return seen.signal;
    };
    let unknown = seen.signal.outcome == Outcome::from(UnknownCause::NameNotFound);
    if unknown && before.has_resolved(host, at) {
        return Signal {
            outcome: DownCause::NameLost.into(),
            ..seen.signal
        };
    }
    seen.signal
}

/// What every probe of one site shares.
struct Asked<'a> {
    prober: &'a Prober,
    plan: &'a Plan,
    site: SiteLabel,
    at: Timestamp,
    connected: &'a Result<Workspace, Failure>,
    warehouses: &'a Warehouses,
    page: Option<&'a Fetched>,
}

impl<'a> Asked<'a> {
    fn ask(&'a self, probes: &'a Probes, probe: &Probe, pace: ProbePace) -> BoxFuture<'a, Finding> {
        let nothing = || async { Finding::new(UnknownCause::NotConfigured) }.boxed();
        match probe {
            Probe::ObjectStore => match &probes.object_store {
                Some(wanted) => self.store(wanted.buckets.get(self.site), pace).boxed(),
                None => nothing(),
            },
            Probe::StatusPage => match (&probes.status_page, self.page) {
                (Some(wanted), Some(fetched)) => {
                    let finding = feeds::read(wanted, &fetched.body, self.site);
                    let times = fetched.times;
                    async move { Finding { times, ..finding } }.boxed()
                }
                _ => nothing(),
            },
            Probe::AwsHealth => match &probes.aws_health {
                Some(wanted) => {
                    let region = &self.plan.sites.get(self.site).region;
                    feeds::health(&self.prober.ports, wanted, region).boxed()
                }
                None => nothing(),
            },
            _ => match self.connected {
                Ok(workspace) => self.ask_workspace(workspace, probes, probe, pace),
                Err(failure) => async move { workspace::unknown(failure) }.boxed(),
            },
        }
    }

    fn ask_workspace(
        &'a self,
        workspace: &'a Workspace,
        probes: &'a Probes,
        probe: &Probe,
        pace: ProbePace,
    ) -> BoxFuture<'a, Finding> {
        let detection = &self.plan.detection;
        let nothing = || async { Finding::new(UnknownCause::NotConfigured) }.boxed();
        match probe {
            Probe::SignIn => workspace::sign_in(workspace, pace).boxed(),
            Probe::ControlPlaneApi => workspace::api(workspace, pace).boxed(),
            Probe::SqlCanary => match &probes.sql_canary {
                Some(wanted) => {
                    sql::canary(workspace, self.warehouses, detection, wanted, pace, self.at)
                        .boxed()
                }
                None => nothing(),
            },
            Probe::Kpi(name) => {
                let kpi = probes
                    .kpis
                    .iter()
                    .find(|kpi| Some(&kpi.name) == name.as_ref());
                match kpi {
                    Some(kpi) => {
                        sql::kpi(workspace, self.warehouses, detection, kpi, pace, self.at).boxed()
                    }
                    None => nothing(),
                }
            }
            Probe::ClusterCanary => match &probes.cluster_canary {
                Some(wanted) => clusters::canary(
                    &self.prober.ports,
                    &self.prober.running,
                    workspace,
                    detection,
                    wanted,
                    self.site,
                    pace,
                )
                .boxed(),
                None => nothing(),
            },
            Probe::JobSuccess => match &probes.job_success {
                Some(wanted) => jobs::success(workspace, detection, wanted, pace, self.at).boxed(),
                None => nothing(),
            },
            _ => nothing(),
        }
    }

    async fn store(&self, bucket: &str, pace: ProbePace) -> Finding {
        let place = Place {
            plan: &self.plan.name,
            vantage: self.prober.vantage.as_str(),
            region: &self.plan.sites.get(self.site).region,
            bucket,
        };
        let call: Duration = self.plan.detection.probe_timeout_seconds.duration();
        store::marker(&self.prober.buckets, &place, call, pace, self.at).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lost_only_if_it_was_known() {
        let at: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let seen = || Seen {
            signal: Signal::new(Probe::ControlPlaneApi, UnknownCause::NameNotFound),
            host: Some("a.example".to_owned()),
            resolved: false,
        };
        let mut before = Signals::default();
        assert_eq!(
            named(seen(), &before, at).outcome,
            UnknownCause::NameNotFound.into()
        );
        before.resolved("a.example", at);
        assert_eq!(
            named(seen(), &before, at).outcome,
            DownCause::NameLost.into()
        );
    }
}
