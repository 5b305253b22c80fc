//! The routes of the plan's S3 access points: they lead to the active site, as far as S3 can be told.

use std::time::Duration;

use aws::access_points::AccessPoints;
use aws::{Failure, Invocation, Ports};
use futures::future::join_all;
use jiff::Timestamp;
use recovery::inventory::Subject;
use recovery::ledger::{Entry, EntryStatus, Verified};
use recovery::plan::{AccessPoint, Plan};
use recovery::routes::{Route, RoutesReading, control_regions, wanted};
use recovery::run::RunDocument;
use recovery::site::Region;
use tokio::time::Instant;

use crate::Event;

/// The stage in the ledger: one for both times that it is tried, so that the last word counts.
const STAGE: &str = "AccessPoints";
/// Two control regions that do not answer, and one that does, fit in. Nothing after the commit waits longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
const ACT: &str = "route to the active site";

/// Makes the access points lead to the target; names those that do not yet, with the reason. The region that is left is asked
/// nothing. Repeating it changes nothing.
pub(crate) async fn flip(
    ports: &Ports,
    points: &dyn AccessPoints,
    plan: &Plan,
    run: &RunDocument,
    event: &Event,
    invocation: &Invocation,
) -> Result<Vec<String>, Failure> {
    let until = Instant::now() + PATIENCE.min(invocation.left());
    let work = plan.access_points.iter().map(|point| {
        let flip = Flip {
            ports,
            points,
            point,
            wanted: wanted(plan, point, run.target),
            regions: control_regions(plan, run.from),
            run,
            event,
            invocation,
        };
        async move { (point, flip.work(until).await) }
    });
    let mut open = Vec::new();
    for (point, worked) in join_all(work).await {
        if let Some(error) = worked? {
            open.push(format!("{}: {error}", point.arn));
        }
    }
    Ok(open)
}

struct Flip<'a> {
    ports: &'a Ports,
    points: &'a dyn AccessPoints,
    point: &'a AccessPoint,
    wanted: Vec<Route>,
    regions: Vec<Region>,
    run: &'a RunDocument,
    event: &'a Event,
    invocation: &'a Invocation,
}

impl Flip<'_> {
    /// Until the routes read as wanted; what stands in the way when time is up.
    async fn work(&self, until: Instant) -> Result<Option<String>, Failure> {
        let (mut attempted, mut attempts) = (None, 0);
        let mut error = "time was up".to_owned();
        let mut regions = self.regions.iter().cycle();
        let mut region = regions.next();
        while let Some(asked) = region.filter(|_| Instant::now() < until) {
            match tokio::time::timeout_at(until, self.look(asked, attempted)).await {
                Ok(Ok(Some(proof))) => {
                    let status = EntryStatus::Verified { read_at: proof };
                    self.log(status, attempts).await?;
                    return Ok(None);
                }
                // Once S3 has taken the change it takes up to two minutes to show it.
                Ok(Ok(None)) if attempted.is_some() => {
                    "S3 has taken the change and does not show it yet".clone_into(&mut error);
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(Ok(None)) => {
                    self.ports
                        .require_lock(&self.event.run, &self.event.token)
                        .await?;
                    attempts += 1;
                    let at = self.ports.now();
                    self.log(EntryStatus::Attempted, attempts).await?;
                    let submit = self.points.submit(asked, &self.point.arn, &self.wanted);
                    match tokio::time::timeout_at(until, submit).await {
                        Ok(Ok(())) => attempted = Some(at),
                        // The answer may be what was lost: the next reading tells.
                        Ok(Err(failure)) => {
                            error = failure.to_string();
                            region = regions.next();
                            tokio::time::sleep(PAUSE).await;
                        }
                        Err(_) => break,
                    }
                }
                Ok(Err(failure)) => {
                    error = failure.to_string();
                    region = regions.next();
                    tokio::time::sleep(PAUSE).await;
                }
                Err(_) => break,
            }
        }
        let status = EntryStatus::Failed {
            error: error.clone(),
        };
        self.log(status, attempts).await?;
        Ok(Some(error))
    }

    async fn look(
        &self,
        region: &Region,
        attempted: Option<Timestamp>,
    ) -> Result<Option<Verified>, Failure> {
        let began = self.ports.now();
        let routes = self.points.routes(region, &self.point.arn).await?;
        let reading = RoutesReading::new(routes, began);
        Ok(Verified::by_routes(&reading, attempted, &self.wanted))
    }

    async fn log(&self, status: EntryStatus, attempts: u32) -> Result<(), Failure> {
        let entry = Entry {
            subject: Some(Subject {
                kind: "access_point".to_owned(),
                id: self.point.arn.to_string(),
                name: self.point.arn.alias().to_owned(),
            }),
            act: ACT.to_owned(),
            at: self.ports.now(),
            attempts,
            status,
        };
        let request = &self.invocation.request_id;
        self.ports
            .add_to_ledger(&self.run.run, self.run.target, STAGE, request, vec![entry])
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws::access_points::MemoryAccessPoints;
    use recovery::ledger::ReadEntry;
    use recovery::routes::{ACTIVE, PASSIVE};
    use recovery::site::{PlanName, RunId, RunToken, SiteLabel};
    use recovery::state::Lock;
    use serde_json::json;

    use super::*;
    use crate::Phase;

    struct Setting {
        ports: Ports,
        plan: Plan,
        run: RunDocument,
        event: Event,
    }

    /// A run to the secondary that holds the lock.
    async fn setting() -> Setting {
        let text = include_str!("../../../infra/plan.example.json");
        let plan: Plan = serde_json::from_str(text).unwrap();
        let name = PlanName::new("lakehouse");
        let region = plan.control_region.clone();
        let (ports, ..) = Ports::in_memory(name, region, Arc::new(Timestamp::now));
        let (id, token) = (RunId::new("run-1"), RunToken::new("execution-1"));
        let run: RunDocument = serde_json::from_value(json!({
            "format_version": 1, "run": id, "plan": "lakehouse", "mode": "failover", "attempt": 1, "token": token,
            "epoch": 0, "from": "primary", "target": "secondary", "begun_at": "2026-03-01T00:00:00Z",
            "evidence": {"verdict": null, "actionable": true, "failing_since": null, "signals": [],
                "baseline": {"format_version": 1, "digest": "d", "captured_at": "2026-03-01T00:00:00Z", "site": "primary", "objects": 0, "live": {}},
                "replication": null, "workspace_urls": {}},
            "stages": [], "committed_at": null, "outcome": null, "reason": null, "closed_at": null, "told_at": null,
        }))
        .unwrap();
        let lock = Lock {
            run: id.clone(),
            token: token.clone(),
            mode: run.mode,
            taken_at: Timestamp::UNIX_EPOCH,
        };
        ports
            .change_state(|state| {
                state.lock = Some(lock.clone());
                Ok(())
            })
            .await
            .unwrap();
        let event = Event {
            run: id,
            token,
            phase: Phase::Commit,
        };
        Setting {
            ports,
            plan,
            run,
            event,
        }
    }

    impl Setting {
        fn routes(&self, active: SiteLabel) -> Vec<Route> {
            wanted(&self.plan, &self.plan.access_points[0], active)
        }

        async fn flip(&self, points: &MemoryAccessPoints) -> Result<Vec<String>, Failure> {
            let invocation = Invocation::lasting(Duration::from_secs(60));
            let (ports, plan) = (&self.ports, &self.plan);
            flip(ports, points, plan, &self.run, &self.event, &invocation).await
        }

        async fn last_word(&self) -> ReadEntry {
            let pages = self.ports.ledger_of(&self.run.run, STAGE).await.unwrap();
            let entries = pages.into_iter().flat_map(|page| page.entries);
            entries.max_by_key(|entry| entry.at).unwrap()
        }
    }

    #[tokio::test]
    async fn routes_lead_to_the_target_though_a_control_region_is_dark_and_s3_shows_the_change_late()
     {
        let setting = setting().await;
        let dark = vec![setting.plan.control_region.clone()];
        let points = MemoryAccessPoints::new(setting.routes(SiteLabel::Primary), dark, 1);
        assert_eq!(setting.flip(&points).await.unwrap(), Vec::<String>::new());
        assert_eq!(setting.last_word().await.status, "Verified");
        let arn = &setting.plan.access_points[0].arn;
        let region = Region::new("us-east-1");
        let now = points.routes(&region, arn).await.unwrap();
        let dials: Vec<i32> = now.iter().map(|route| route.dial).collect();
        assert_eq!(dials, [ACTIVE, PASSIVE]);
        assert_eq!(points.submits(), 1);
        // Again, as the second phase does: nothing is changed.
        setting.flip(&points).await.unwrap();
        assert_eq!(points.submits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_s3_never_shows_is_named_and_holds_up_nothing() {
        let setting = setting().await;
        let points =
            MemoryAccessPoints::new(setting.routes(SiteLabel::Primary), vec![], usize::MAX);
        let open = setting.flip(&points).await.unwrap();
        assert!(open[0].contains("does not show it yet"), "{open:?}");
        assert_eq!(setting.last_word().await.status, "Failed");
    }

    #[tokio::test]
    async fn a_zombie_changes_no_route() {
        let setting = setting().await;
        let points = MemoryAccessPoints::new(setting.routes(SiteLabel::Primary), vec![], 0);
        let free = |state: &mut recovery::state::State| {
            state.lock = None;
            Ok(())
        };
        setting.ports.change_state(free).await.unwrap();
        let failure = setting.flip(&points).await.unwrap_err();
        assert_eq!(failure.name, recovery::failure::FailureName::LockLost);
        assert_eq!(points.submits(), 0);
    }
}
