//! The end of a drill: what was promised, and what came of it.

use std::path::{Path, PathBuf};

use local_cloud::{Execution, ExecutionStatus};
use recovery::report::Report;
use recovery::run::{Outcome, RunDocument};
use recovery::site::SiteLabel;
use recovery::state::State;
use recovery::verdict::Verdict;
use serde_json::Value;

use crate::lake::Lake;
use crate::plan::{ACCESS_POINT, CONTROL_REGION, NAME, PRIMARY_REGION, SECONDARY_REGION};
use crate::promises::{self, Facts};
use crate::script::Drill;
use crate::world::routes_to;
use crate::{DrillError, Scenario, Summary, data_promises};

impl Drill<'_> {
    /// The loss that people were shown is the loss of the report, and both follow from what had really arrived.
    async fn data_promises(&self, run: &str, report: &Report) -> Result<Vec<String>, DrillError> {
        let id = recovery::site::RunId::new(run);
        let of_run = |name: &str| aws::keys::of_run(&id, name);
        let request: Option<Value> = self.world.read(&of_run("approvals/start.json")).await?;
        let points: Option<Value> = self.world.read(&of_run("recovery-points.json")).await?;
        let arrived = self.world.lake.as_ref().map(Lake::complete_versions);
        Ok(data_promises::violations(
            request.as_ref(),
            points.as_ref(),
            &arrived.unwrap_or_default(),
            report,
        ))
    }

    pub(crate) async fn report(&self, run: &str) -> Result<Option<Report>, DrillError> {
        let key = aws::keys::of_run(&recovery::site::RunId::new(run), "report.json");
        if matches!(
            self.options.scenario,
            Scenario::Stopped | Scenario::RehearsalStopped
        ) {
            // The event that closes a stopped run arrives on its own.
            let world = &*self.world;
            return world
                .wait("the report of the stopped run", 60, || {
                    world.read::<Report>(&key)
                })
                .await
                .map(Some);
        }
        self.world.read(&key).await
    }

    pub(crate) async fn summary(
        &self,
        run: &str,
        ended: &Execution,
    ) -> Result<Summary, DrillError> {
        let report = self.report(run).await?;
        let state: Option<State> = self.world.read(aws::keys::STATE).await?;
        let primary = self.world.primary.inventory().await?;
        let secondary = self.world.secondary.inventory().await?;
        let (primary_events, secondary_events) = (
            self.world.primary.events().await?,
            self.world.secondary.events().await?,
        );
        let fence = state
            .as_ref()
            .and_then(|s| s.fences.get(&SiteLabel::Primary));
        let facts = Facts {
            original: self.original,
            primary: &primary,
            secondary: &secondary,
            standby: self.standby,
            primary_events: &primary_events,
            secondary_events: &secondary_events,
            committed_at_ms: state
                .as_ref()
                .and_then(|s| s.last_commit.as_ref())
                .map(|c| c.at.as_millisecond()),
            fence_verified_at_ms: fence
                .and_then(|f| f.verified_at)
                .map(|t| t.as_millisecond()),
            returned_at_ms: self.primary_returned_at_ms,
        };
        let mut violations = promises::violations(&facts);
        violations.extend(self.state_promises(state.as_ref(), report.as_ref()).await?);
        if let Some(report) = &report {
            violations.extend(self.data_promises(run, report).await?);
        }
        let outcome = report.as_ref().map_or(Outcome::Failed, |r| r.outcome);
        if outcome != self.options.scenario.expected() {
            violations.push(format!(
                "the run ended in {}, this scenario must end in {}",
                outcome.as_str(),
                self.options.scenario.expected().as_str()
            ));
        }
        let said = ended.error.as_deref().unwrap_or("Completed");
        let console_agrees = said == outcome.as_str() || ended.status == ExecutionStatus::Aborted;
        if !console_agrees {
            violations.push(format!(
                "the console says {said}, the report {}",
                outcome.as_str()
            ));
        }
        let mut parity_differences = promises::parity(&facts);
        if self.options.scenario == Scenario::LeftBehind {
            violations.extend(crate::left_behind::judge(
                report.as_ref(),
                &mut parity_differences,
            ));
        }
        let path = self.save_report(run, report.as_ref(), "report").await?;
        Ok(Summary {
            scenario: self.options.scenario.name(),
            outcome,
            reason: report
                .as_ref()
                .map(|r| r.reason.clone())
                .or_else(|| ended.cause.clone())
                .unwrap_or_else(|| "no reason was given".to_owned()),
            verdict: report
                .as_ref()
                .and_then(|r| r.verdict)
                .map(|v: Verdict| v.to_string()),
            violations,
            parity_differences,
            order: report
                .iter()
                .flat_map(|r| &r.stages)
                .map(|s| format!("{:?}", s.stage))
                .collect(),
            stages: report
                .iter()
                .flat_map(|r| &r.stages)
                .map(|s| (format!("{:?}", s.stage), s.seconds))
                .collect(),
            rto_seconds: report.as_ref().and_then(|r| r.rto_seconds),
            rpo: report.as_ref().map(|r| r.rpo.clone()).unwrap_or_default(),
            fenced: self.fenced(run).await?,
            restored: report
                .as_ref()
                .map(|r| r.restored.clone())
                .unwrap_or_default(),
            runs_through_fence: promises::runs_through_fence(&facts),
            second: None,
            next: report.as_ref().map(|r| r.next.clone()),
            report: path,
            recordings: vec![],
        })
    }

    /// What the ledger says of the old site now: the watch has added to it since the report was made.
    async fn fenced(
        &self,
        run: &str,
    ) -> Result<std::collections::BTreeMap<String, usize>, DrillError> {
        let id = recovery::site::RunId::new(run);
        let Some(document) = self
            .world
            .read::<RunDocument>(&aws::keys::of_run(&id, "run.json"))
            .await?
        else {
            return Ok(std::collections::BTreeMap::new());
        };
        let mut pages = Vec::new();
        use aws::store::Store;
        for key in self
            .world
            .store()
            .list(&aws::keys::of_run(&id, "ledger/"))
            .await?
        {
            pages.extend(self.world.read(&key).await?);
        }
        Ok(recovery::report::fenced(&document, &pages))
    }

    /// What the stored state and the parameters promise whatever the outcome.
    async fn state_promises(
        &self,
        state: Option<&State>,
        report: Option<&Report>,
    ) -> Result<Vec<String>, DrillError> {
        let mut found = Vec::new();
        let Some(state) = state else { return Ok(found) };
        if let Some(lock) = &state.lock {
            found.push(format!("run {} still holds the lock", lock.run));
        }
        let Some(report) = report else {
            return Ok(found);
        };
        let completed = report.outcome == Outcome::Completed && report.mode.moves_users();
        let expected = if completed {
            SiteLabel::Secondary
        } else {
            SiteLabel::Primary
        };
        if state.active_site != expected {
            found.push(format!(
                "the {} site is active after {}",
                state.active_site,
                report.outcome.as_str()
            ));
        }
        let routes = self.world.cloud.access_point_routes(ACCESS_POINT).await?;
        if routes != routes_to(state.active_site) {
            found.push(format!(
                "the {} site is active, and the access point has the routes {routes:?}",
                state.active_site
            ));
        }
        if completed {
            found.extend(self.announced(report.run.as_str(), expected).await?);
            let pointer = aws::keys::active_site(&recovery::site::PlanName::new(NAME));
            for region in [CONTROL_REGION, SECONDARY_REGION, PRIMARY_REGION] {
                let says = self.world.parameter(region, &pointer).await?;
                if says.as_deref() != Some(expected.as_str()) {
                    found.push(format!("{pointer} in {region} says {says:?}"));
                }
            }
            // What people have accepted by name may be open; what is named is judged by its scenario.
            let open = report.unverified.iter().filter(|subject| {
                let accepted = match self.options.scenario {
                    Scenario::FailoverHalfDead => "warehouse",
                    Scenario::LeftBehind => "cluster",
                    _ => "",
                };
                subject.kind != accepted
            });
            let open = open.count();
            if open > 0 {
                found.push(format!(
                    "{open} resources were attempted and never verified"
                ));
            }
            if !state.fences.contains_key(&SiteLabel::Primary) {
                found.push("no fence stands on the primary".to_owned());
            }
        }
        Ok(found)
    }

    pub(crate) async fn save_report(
        &self,
        run: &str,
        report: Option<&Report>,
        name: &str,
    ) -> Result<Option<PathBuf>, DrillError> {
        let Some(report) = report else {
            return Ok(None);
        };
        let path: &Path = &self.options.out.join(format!("{name}.json"));
        let text = serde_json::to_vec_pretty(report).unwrap_or_default();
        std::fs::write(path, text).map_err(DrillError::file(path))?;
        self.fits_its_schema(path)?;
        use aws::store::Store;
        let key = aws::keys::of_run(&recovery::site::RunId::new(run), "report.html");
        if let Some(page) = self.world.store().get(&key).await? {
            let path: &Path = &self.options.out.join(format!("{name}.html"));
            std::fs::write(path, page.bytes).map_err(DrillError::file(path))?;
        }
        Ok(Some(path.to_owned()))
    }

    /// Machines were told by which run which site became active, and have heard of no other since.
    pub(crate) async fn announced(
        &self,
        run: &str,
        site: SiteLabel,
    ) -> Result<Vec<String>, DrillError> {
        let events = self.world.cloud.published_events().await?;
        let told: Vec<(&str, &str)> = events
            .iter()
            .filter(|event| event.name == aws::site_news::ACTIVE_SITE_CHANGED)
            .map(|event| {
                let field = |name| event.detail.get(name).and_then(Value::as_str);
                (field("run").unwrap_or("?"), field("to").unwrap_or("?"))
            })
            .collect();
        let of_run = told.iter().filter(|(by, _)| *by == run).count();
        let fits = of_run >= 1 && told.last() == Some(&(run, site.as_str()));
        Ok((!fits)
            .then(|| format!("the {site} site is active by run {run}, and the events say {told:?}"))
            .into_iter()
            .collect())
    }

    fn fits_its_schema(&self, report: &Path) -> Result<(), DrillError> {
        let schema = self.options.root.join("infra/report.schema.json");
        let venv = local_cloud::venv::ensure(&self.options.root, &|words| self.progress.say(words))
            .map_err(local_cloud::CloudError::from)?;
        venv.fits(report, &schema)
            .map_err(|reason| DrillError::Report {
                report: report.to_owned(),
                reason,
            })
    }
}
