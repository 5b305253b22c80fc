//! Readiness against two simulated workspaces: every difference that was planted is found, and no other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws::buckets::Buckets;
use aws::concurrency::{AtOnce, MemoryConcurrency};
use aws::notices::MemoryNotices;
use aws::parameters::Parameters;
use aws::store::Store;
use aws::{Invocation, Ports};
use aws_config::SdkConfig;
use check_readiness::{Around, Event, FUNCTIONS, ReadinessDocument};
use drill::Scenario;
use drill::estate::{inventory, standby_of};
use drill::plan::{CONTROL_REGION, PRIMARY_WORKSPACE, SECONDARY_WORKSPACE, for_scenario};
use drill::planted::{Planted, plant};
use drill::workspace::SimulatedWorkspace;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use recovery::baseline::{BASELINE_FORMAT, Baseline, BaselinePointer};
use recovery::failure::FailureName;
use recovery::operator_check::OperatorCheck;
use recovery::plan::{DataSource, Plan};
use recovery::readiness::{ReadinessAnswer, ReadinessStatus};
use recovery::site::{Epoch, Region, RunId, SiteLabel};
use sites::{Purpose, Role, connect, read_names, read_permissions, read_record};
use workspace_sim::Inventory;

use crate::checker;

/// Two workspaces, and the function's ports in memory.
struct Pair {
    primary: SimulatedWorkspace,
    standby: SimulatedWorkspace,
    ports: Ports,
    notices: MemoryNotices,
    around: Around,
    concurrency: MemoryConcurrency,
    plan: Plan,
    _folder: tempfile::TempDir,
}

impl Pair {
    async fn start(primary: Inventory, standby: Inventory, plan: Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = |inventory, id, name: &str| {
            let recording = folder.path().join(name);
            async move {
                SimulatedWorkspace::start(inventory, id, &recording, 60.0)
                    .await
                    .unwrap()
            }
        };
        let primary = start(primary, PRIMARY_WORKSPACE, "primary.jsonl").await;
        let standby = start(standby, SECONDARY_WORKSPACE, "secondary.jsonl").await;
        let region = Region::new(CONTROL_REGION);
        let clock = Arc::new(Timestamp::now);
        let (mut ports, store, parameters, notices) =
            Ports::in_memory(plan.name.clone(), region.clone(), clock);
        ports.time_scale = 60.0;
        let text = serde_json::to_vec(&plan).unwrap();
        store.create("plan.json", text).await.unwrap();
        for (site, workspace) in [
            (SiteLabel::Primary, &primary),
            (SiteLabel::Secondary, &standby),
        ] {
            let name = aws::keys::workspace_url(&plan.name, site);
            parameters
                .put(&region, &name, &workspace.url())
                .await
                .unwrap();
            let name = aws::keys::credential(&plan.name, site, "observer");
            let token = r#"{"token": "sim-token"}"#;
            parameters.put(&region, &name, token).await.unwrap();
        }
        let concurrency = MemoryConcurrency::new(AtOnce(1000));
        let pair = Self {
            primary,
            standby,
            ports,
            notices,
            // The plans of these tests name no objects of any bucket.
            around: Around {
                buckets: Buckets::new(SdkConfig::builder().build()),
                concurrency: Arc::new(concurrency.clone()),
            },
            concurrency,
            plan,
            _folder: folder,
        };
        pair.learn().await;
        pair
    }

    /// Records the primary, as a capture does.
    async fn learn(&self) {
        let (ports, plan, site) = (&self.ports, &self.plan, SiteLabel::Primary);
        let workspace = connect(ports, plan, site, Role::Observer, Purpose::Run)
            .await
            .unwrap();
        let inventory = read_record(&workspace, site, &plan.kinds, None, ports.now())
            .await
            .unwrap();
        let named = &plan.baseline.permissions;
        let baseline = Baseline {
            format_version: BASELINE_FORMAT,
            epoch: Epoch::first(),
            permissions: read_permissions(&workspace, &inventory, named)
                .await
                .unwrap(),
            names: read_names(&workspace).await.unwrap(),
            inventory,
        };
        let pointer = BaselinePointer {
            format_version: BASELINE_FORMAT,
            digest: ports.store_baseline(&baseline).await.unwrap(),
            site,
            captured_at: ports.now(),
            live: baseline.inventory.live_counts(),
            objects: baseline.inventory.resources.len(),
        };
        ports.put(aws::keys::BASELINE, &pointer).await.unwrap();
    }

    /// One scheduled check.
    async fn check(&self) -> ReadinessDocument {
        let invocation = Invocation {
            request_id: "check".to_owned(),
            stop_at: SystemTime::now() + Duration::from_secs(300),
        };
        let answer =
            check_readiness::handle(Event::Scheduled, &self.ports, &self.around, &invocation)
                .await
                .unwrap();
        let document: ReadinessDocument = self
            .ports
            .read(aws::keys::READINESS)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer.answer, document.readiness.answer());
        assert!(answer.reason.contains(&document.summary.text));
        document
    }

    async fn stop(self) {
        let recordings = [
            self.primary.recording.clone(),
            self.standby.recording.clone(),
        ];
        self.primary.stop().await;
        self.standby.stop().await;
        checker::check(&recordings);
    }
}

/// The plan of a drill; its data sources lie in the local cloud, which does not run here.
fn without_buckets() -> Plan {
    let mut plan = for_scenario(Scenario::Failover, None);
    plan.data_sources.sources.clear();
    plan
}

/// The shipped estate, and the real one where it is.
fn estates() -> Vec<Option<PathBuf>> {
    let real = checker::shared().map(|s| s.join("data/workspaces/bundle-examples.json"));
    if real.is_none() {
        eprintln!("skipped: the real inventory in ../shared is not on this machine");
    }
    std::iter::once(None).chain(real.map(Some)).collect()
}

#[tokio::test]
async fn a_standby_that_is_deployed_alike_is_in_sync_to_the_last_field() {
    for file in estates() {
        let primary = inventory(file.as_deref()).unwrap();
        let standby = standby_of(&primary).unwrap();
        let plan = without_buckets();
        let pair = Pair::start(primary, standby, plan).await;
        let found = pair.check().await.readiness;
        let drifted: Vec<_> = found
            .findings
            .iter()
            .filter(|f| f.status != ReadinessStatus::InSync)
            .collect();
        assert_eq!(drifted, Vec::<&_>::new(), "{file:?}");
        assert!(found.count(ReadinessStatus::InSync) > 30);
        assert_eq!(found.answer(), ReadinessAnswer::Ready);
        pair.stop().await;
    }
}

#[tokio::test]
async fn every_planted_difference_is_found_and_no_other() {
    for file in estates() {
        let estate = inventory(file.as_deref()).unwrap();
        let differing = plant(&estate, standby_of).unwrap();
        let kinds: std::collections::BTreeSet<(&str, ReadinessStatus, &str)> = differing
            .planted
            .iter()
            .map(|p| (p.kind.as_str(), p.status, p.mark.as_str()))
            .collect();
        assert!(
            kinds.len() >= 20,
            "only {} kinds of differences",
            kinds.len()
        );
        let plan = without_buckets();
        let pair = Pair::start(differing.primary, differing.standby, plan).await;
        let found = pair.check().await.readiness;

        let mut planted = differing.planted;
        // One object may have twins of its own name at both sites; each original is told.
        let mut told: Vec<Planted> = found
            .findings
            .iter()
            .filter(|f| f.status != ReadinessStatus::InSync)
            .map(Planted::of)
            .collect();
        planted.sort();
        told.sort();
        assert_eq!(told, planted, "{file:?}");
        for finding in &found.findings {
            let must_block = finding.status == ReadinessStatus::Missing
                || (finding.status == ReadinessStatus::Drifted
                    && Planted::of(finding).mark == "not_paused");
            assert!(finding.blocking || !must_block, "{finding:?}");
            let may_not_block = finding.status == ReadinessStatus::Extra
                || (finding.status == ReadinessStatus::Drifted && !must_block);
            assert!(!finding.blocking || !may_not_block, "{finding:?}");
        }
        assert_eq!(found.answer(), ReadinessAnswer::NotReady);
        pair.stop().await;
    }
}

#[tokio::test]
async fn people_are_told_once_when_something_new_blocks() {
    let estate = inventory(None).unwrap();
    let differing = plant(&estate, standby_of).unwrap();
    let plan = without_buckets();
    let pair = Pair::start(differing.primary, differing.standby, plan).await;
    let first = pair.check().await;
    let sent = pair.notices.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    let missing = first
        .readiness
        .blocking()
        .find(|f| f.status == ReadinessStatus::Missing)
        .unwrap();
    assert!(
        sent[0].message.contains(&missing.subject.name),
        "{}",
        sent[0].message
    );
    pair.check().await;
    assert_eq!(pair.notices.sent().len(), 1, "nothing new blocks");
    let lines = pair.ports.metrics.lines();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("\"ReadinessObjects\"") && line.contains("MISSING")),
        "{lines:?}"
    );
    pair.stop().await;
}

#[tokio::test]
async fn a_data_source_that_does_not_answer_is_told_with_its_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let up = listener.local_addr().unwrap();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let down = closed.local_addr().unwrap();
    drop(closed);
    let mut plan = without_buckets();
    let source = |name: &str, addresses: &[String], at_least| DataSource {
        name: name.to_owned(),
        primary: addresses.to_vec(),
        secondary: addresses.to_vec(),
        at_least,
        required: true,
    };
    let (up, down) = (
        format!("tcp://{up}"),
        format!("jdbc:postgresql://{down}/sales"),
    );
    plan.data_sources.sources = vec![
        source("brokers", &[up.clone(), down.clone()], None),
        source("one of the brokers", &[up.clone(), down.clone()], Some(1)),
        source("database", std::slice::from_ref(&down), None),
    ];
    let primary = inventory(None).unwrap();
    let standby = standby_of(&primary).unwrap();
    let pair = Pair::start(primary, standby, plan).await;
    let notes = pair.check().await.readiness.notes;
    let told: Vec<&String> = notes
        .iter()
        .filter(|n| n.starts_with("data source"))
        .collect();
    assert_eq!(told.len(), 2, "{notes:?}");
    assert!(
        told[0].contains("\"brokers\"") && told[0].contains(&up),
        "{notes:?}"
    );
    assert!(
        told[1].contains("\"database\"") && told[1].contains(&down),
        "{notes:?}"
    );
    pair.stop().await;
}

#[tokio::test]
async fn an_account_that_would_throttle_a_secret_that_ends_and_an_operator_who_may_not_are_told() {
    let primary = inventory(None).unwrap();
    let standby = standby_of(&primary).unwrap();
    let pair = Pair::start(primary, standby, without_buckets()).await;
    let told = |notes: &[String], words: &str| notes.iter().filter(|n| n.contains(words)).count();

    let notes = pair.check().await.readiness.notes;
    assert_eq!(told(&notes, "concurrent executions"), 0, "{notes:?}");
    assert_eq!(told(&notes, "client secret"), 0, "{notes:?}");

    pair.concurrency.set(AtOnce(FUNCTIONS.0 - 1));
    let tomorrow = pair
        .ports
        .now()
        .to_zoned(TimeZone::UTC)
        .date()
        .tomorrow()
        .unwrap();
    let name = aws::keys::credential(&pair.plan.name, SiteLabel::Secondary, "observer");
    let stored = format!(r#"{{"token": "sim-token", "secret_expires_on": "{tomorrow}"}}"#);
    let region = Region::new(CONTROL_REGION);
    pair.ports
        .parameters
        .put(&region, &name, &stored)
        .await
        .unwrap();
    let notes = pair.check().await.readiness.notes;
    assert_eq!(told(&notes, "12 concurrent executions"), 1, "{notes:?}");
    assert_eq!(told(&notes, "was never checked"), 1, "{notes:?}");
    let words = format!("the client secret of the secondary site's observer ends on {tomorrow}");
    assert_eq!(told(&notes, &words), 1, "{notes:?}");

    let key = aws::keys::operator_check(SiteLabel::Primary);
    let check = OperatorCheck {
        format_version: 1,
        run: RunId::new("drill-1"),
        checked_at: pair.ports.now(),
        objects: 40,
        refused: ["job 7 \"load\"".to_owned()].into(),
    };
    pair.ports.put(&key, &check).await.unwrap();
    let found = pair.check().await.readiness;
    assert_eq!(told(&found.notes, "was never checked"), 0);
    assert_eq!(told(&found.blockers, "may not manage 1 of 40"), 1);
    assert_eq!(found.answer(), ReadinessAnswer::NotReady);
    pair.stop().await;
}

#[tokio::test]
async fn no_credential_is_read_for_a_host_that_is_not_of_databricks() {
    let primary = inventory(None).unwrap();
    let standby = standby_of(&primary).unwrap();
    let pair = Pair::start(primary, standby, without_buckets()).await;
    let (region, site) = (Region::new(CONTROL_REGION), SiteLabel::Secondary);
    let url = aws::keys::workspace_url(&pair.plan.name, site);
    let parameters = &pair.ports.parameters;
    let elsewhere = "https://dbc-a1b2345c-d6e7.cloud.databricks.com.example.net";
    parameters.put(&region, &url, elsewhere).await.unwrap();
    // It would be the error, were it looked at.
    let credential = aws::keys::credential(&pair.plan.name, site, "observer");
    parameters
        .put(&region, &credential, "nonsense")
        .await
        .unwrap();
    let invocation = Invocation {
        request_id: "check".to_owned(),
        stop_at: SystemTime::now() + Duration::from_secs(300),
    };
    let failure = check_readiness::handle(Event::Scheduled, &pair.ports, &pair.around, &invocation)
        .await
        .unwrap_err();
    assert_eq!(failure.name, FailureName::InvalidPlan);
    assert!(failure.message.contains(elsewhere), "{failure}");
    assert!(
        failure.message.contains("no credential is sent there"),
        "{failure}"
    );
    // Not `stop`: it asks for recorded requests, and the standby had none.
    pair.primary.stop().await;
    pair.standby.stop().await;
}
