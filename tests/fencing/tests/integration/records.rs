//! Recording the active site and comparing the standby with it, by themselves: whatever fails, repeated they succeed, and a site that takes
//! longer to read than a call lasts is read all the same.

use std::time::Duration;

use aws::{Failure, keys};
use capture_baseline::{Answer, Captured, Reply};
use check_readiness::Event;
use fencing::site::{EXECUTION, RUN, SITE};
use fencing::{Pace, Site};
use recovery::baseline::BaselinePointer;
use recovery::failure::FailureName;
use recovery::kind::Kind;
use recovery::readiness::ReadinessAnswer;
use recovery::run::{CaptureAnswer, Mode, Stage};
use recovery::site::{RunId, RunToken, SiteLabel};
use serde_json::{Value, json};

use crate::estate::{asleep, small};
use crate::faults::survive;

const LONG: Duration = Duration::from_secs(60);
const BATCH: &str = "/api/2.0/pipelines/22222222-2222-2222-2222-222222222222";
const INGEST: &str = "/api/2.0/pipelines/11111111-1111-1111-1111-111111111111";

/// Both sites are there and well.
async fn pair() -> Site {
    let mut site = Site::start(small(), Pace::QUICK).await.unwrap();
    site.add_standby(asleep()).await.unwrap();
    site.is_healthy().await.unwrap();
    site
}

async fn captured(site: &Site) -> Result<Captured, Failure> {
    match site.capture().await? {
        Reply::Scheduled(captured) => Ok(captured),
        Reply::Run { .. } => panic!("not of a run"),
    }
}

/// The record that counts, whole, as its pointer says.
async fn record(site: &Site, key: &str) -> BaselinePointer {
    let pointer: BaselinePointer = site.ports.read(key).await.unwrap().unwrap();
    let baseline = site.ports.baseline(&pointer.digest).await.unwrap();
    assert_eq!(pointer.objects, baseline.inventory.resources.len());
    assert_eq!(pointer.site, baseline.inventory.site);
    pointer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_capture() {
    let capture = async |site: &Site| {
        let captured = captured(site).await?;
        let is_captured = |answer: &Answer| matches!(answer, Answer::Captured { .. });
        assert!(is_captured(&captured.active), "{captured:?}");
        assert!(is_captured(&captured.standby), "{captured:?}");
        Ok(true)
    };
    survive(pair, capture, async |site: &Site, what: &str| {
        let active = record(site, keys::BASELINE).await;
        assert_eq!(active.site, SITE, "{what}");
        assert_eq!(active.live.get(&Kind::Job), Some(&4), "{what}: {active:?}");
        let standby = record(site, &keys::posture(SITE.other())).await;
        assert_eq!(standby.live.get(&Kind::Job), None, "{what}: {standby:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_capture_of_a_planned_run() {
    let setting = async || {
        let site = pair().await;
        captured(&site).await.unwrap();
        let pointer = record(&site, keys::BASELINE).await;
        site.begin(Mode::Switchover, &pointer.digest).await.unwrap();
        // Somebody has changed a job since the last capture.
        let paused = json!({"job_id": 1, "new_settings": {"schedule": {"quartz_cron_expression": "0 0 4 * * ?", "timezone_id": "UTC", "pause_status": "UNPAUSED"}}});
        let client = reqwest::Client::new();
        let url = format!("{}/api/2.2/jobs/update", site.url());
        let update = client.post(url).bearer_auth("sim-token").json(&paused);
        update.send().await.unwrap().error_for_status().unwrap();
        site
    };
    let capture = async |site: &Site| match site.capture_in_run().await? {
        Reply::Run { answer, reason } => {
            assert_eq!(answer, CaptureAnswer::Captured, "{reason}");
            Ok(true)
        }
        Reply::Scheduled(_) => panic!("of the run"),
    };
    survive(setting, capture, async |site: &Site, what: &str| {
        let run = site.ports.run(&RunId::new(RUN)).await.unwrap();
        let of_run = run.captured.clone().unwrap();
        assert_ne!(of_run.digest, run.evidence.baseline.digest, "{what}");
        assert!(run.is_done(Stage::Capture), "{what}");
        let current = record(site, keys::BASELINE).await;
        assert_eq!(
            current.digest, of_run.digest,
            "{what}: what counts if it is led back"
        );
    })
    .await;
}

/// Nothing is learned from a site that is not known to be well, and none of its records changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_sick_or_fenced_site_teaches_nothing() {
    let site = pair().await;
    captured(&site).await.unwrap();
    let before = record(&site, keys::BASELINE).await;
    site.later(3600);
    let stale = captured(&site).await.unwrap();
    assert!(matches!(stale.active, Answer::Refused { .. }), "{stale:?}");
    site.is_healthy().await.unwrap();
    site.raise().await.unwrap();
    let fenced = captured(&site).await.unwrap();
    assert!(
        matches!(fenced.active, Answer::Refused { .. }),
        "{fenced:?}"
    );
    assert_eq!(record(&site, keys::BASELINE).await, before);
    site.stop().await;
}

/// A run that leaves this site, whose standby holds everything.
async fn leaving() -> Site {
    let site = pair().await;
    captured(&site).await.unwrap();
    let pointer = record(&site, keys::BASELINE).await;
    site.begin(Mode::Failover, &pointer.digest).await.unwrap();
    site
}

fn target() -> Event {
    Event::Target {
        run: RunId::new(RUN),
        token: RunToken::new(EXECUTION),
    }
}

fn recheck() -> Event {
    Event::Recheck {
        run: RunId::new(RUN),
        token: RunToken::new(EXECUTION),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_before_the_approval_and_after_the_fence() {
    for (event, stage, name) in [
        (target as fn() -> Event, Stage::Readiness, "readiness.json"),
        (recheck, Stage::Recheck, "readiness-recheck.json"),
    ] {
        let check = async |site: &Site| {
            let answer = site.check(event(), LONG).await?;
            assert_eq!(answer.answer, ReadinessAnswer::Ready, "{}", answer.reason);
            Ok(true)
        };
        survive(leaving, check, async |site: &Site, what: &str| {
            let run = site.ports.run(&RunId::new(RUN)).await.unwrap();
            assert!(run.is_done(stage), "{what}");
            let key = keys::of_run(&run.run, name);
            let said: Value = site.ports.read(&key).await.unwrap().unwrap();
            assert_eq!(said["site"], json!(SiteLabel::Secondary), "{what}");
            assert_eq!(said["readiness"]["blockers"], json!([]), "{what}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_comparison() {
    let setting = async || {
        let site = pair().await;
        captured(&site).await.unwrap();
        site
    };
    let check = async |site: &Site| {
        let answer = site.check(Event::Scheduled, LONG).await?.answer;
        assert_ne!(answer, ReadinessAnswer::Pending);
        Ok(true)
    };
    survive(setting, check, async |site: &Site, what: &str| {
        let said: Value = site.ports.read(keys::READINESS).await.unwrap().unwrap();
        assert_eq!(said["site"], json!(SiteLabel::Secondary), "{what}");
    })
    .await;
}

/// Counts how often the standby is asked for the one pipeline from now on.
async fn count(site: &Site) {
    let counts = json!({"method": "GET", "path": INGEST, "kind": "slow", "ms": 1});
    site.control_standby("faults", &counts).await.unwrap();
}

/// Review finding 16: a standby that takes longer than one call was begun anew six times, and then the run failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_takes_longer_than_a_call_is_read_on_and_nothing_is_asked_twice() {
    let site = leaving().await;
    count(&site).await;
    let hangs = json!({"method": "GET", "path": BATCH, "kind": "hang"});
    site.control_standby("faults", &hangs).await.unwrap();
    for _ in 0..2 {
        let cut = site.check(target(), Duration::from_secs(2)).await.unwrap();
        assert_eq!(cut.answer, ReadinessAnswer::Pending, "{}", cut.reason);
        let run = site.ports.run(&RunId::new(RUN)).await.unwrap();
        assert!(!run.is_done(Stage::Readiness), "it is not known");
    }
    assert_eq!(site.met_at_standby().await.unwrap(), 1);
    site.no_more_faults_at_standby().await.unwrap();
    count(&site).await;
    let whole = site.check(target(), LONG).await.unwrap();
    assert_eq!(whole.answer, ReadinessAnswer::Ready, "{}", whole.reason);
    assert_eq!(site.met_at_standby().await.unwrap(), 0, "it was known");

    // After the fence the standby is read anew: it may have changed while people decided.
    site.check(recheck(), LONG).await.unwrap();
    assert_eq!(site.met_at_standby().await.unwrap(), 1);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_is_never_read_to_its_end_does_not_hold_a_run_for_ever() {
    let site = leaving().await;
    // One object, or all of them: then not even one answer is known.
    for path in [BATCH, "/api/2.0/pipelines/"] {
        let hangs = json!({"method": "GET", "path": path, "kind": "hang"});
        site.control_standby("faults", &hangs).await.unwrap();
        let short = Duration::from_secs(1);
        let cut = site.check(target(), short).await.unwrap();
        assert_eq!(cut.answer, ReadinessAnswer::Pending);
        site.later(3600);
        let late = site.check(target(), short).await.unwrap_err();
        assert!(
            late.message.contains("could not be read within 60 min"),
            "{path}: {late}"
        );
        // A reading that has ended is not gone on with: whoever looks again an hour later has as long for it.
        site.no_more_faults_at_standby().await.unwrap();
        let whole = site.check(target(), LONG).await.unwrap();
        assert_eq!(whole.answer, ReadinessAnswer::Ready, "{}", whole.reason);
    }
    site.stop().await;
}

/// A loss that the proof has found since the approval was no end that a resume could leave.
#[tokio::test(flavor = "multi_thread")]
async fn people_are_asked_again_if_nothing_but_an_unaccepted_loss_stands_in_the_way() {
    let site = leaving().await;
    let example: Value =
        serde_json::from_str(include_str!("../../../../infra/plan.example.json")).unwrap();
    let mut plan: Value = site.ports.read(keys::PLAN).await.unwrap().unwrap();
    plan["data_sets"] = example["data_sets"].clone();
    site.ports.put(keys::PLAN, &plan).await.unwrap();
    let asked = site.check(recheck(), LONG).await.unwrap();
    assert_eq!(
        asked.answer,
        ReadinessAnswer::Unaccepted,
        "{}",
        asked.reason
    );
    let run = site.ports.run(&RunId::new(RUN)).await.unwrap();
    assert!(!run.is_done(Stage::Recheck));

    // Nor is anything else forgiven by that.
    let gone = json!({"method": "GET", "path": "/api/2.0/alerts", "kind": "status", "status": 200, "body": {}});
    site.control_standby("faults", &gone).await.unwrap();
    let blocked = site.check(recheck(), LONG).await.unwrap();
    assert_eq!(blocked.answer, ReadinessAnswer::NotReady);
    site.no_more_faults_at_standby().await.unwrap();

    // A planned move leads back, since its active site is fenced; and the first state machine knows no such answer.
    let (run, token) = (RunId::new(RUN), RunToken::new(EXECUTION));
    for (mode, machine) in [(Mode::Switchover, 1), (Mode::Failover, 0)] {
        site.ports
            .change_own_run(&run, &token, |d| (d.mode, d.machine) = (mode, machine))
            .await
            .unwrap();
        let ended = site.check(recheck(), LONG).await.unwrap();
        assert_eq!(ended.answer, ReadinessAnswer::NotReady, "{mode:?}");
    }
    site.stop().await;
}

/// The run is one of the first state machine.
async fn first_machine(site: &Site) {
    let (run, token) = (RunId::new(RUN), RunToken::new(EXECUTION));
    site.ports
        .change_own_run(&run, &token, |d| d.machine = 0)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_state_machine_repeats_a_reading_that_goes_on_as_what_passes() {
    let site = leaving().await;
    first_machine(&site).await;
    let hangs = json!({"method": "GET", "path": BATCH, "kind": "hang"});
    site.control_standby("faults", &hangs).await.unwrap();
    let cut = site.check(target(), Duration::from_secs(1)).await;
    assert_eq!(cut.unwrap_err().name, FailureName::Transient);
    site.no_more_faults_at_standby().await.unwrap();
    let whole = site.check(target(), LONG).await.unwrap();
    assert_eq!(whole.answer, ReadinessAnswer::Ready, "{}", whole.reason);
    site.stop().await;
}
