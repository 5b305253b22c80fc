//! Which record is restored, and who decides that a change is meant.

use std::collections::BTreeMap;

use aws::{Ports, keys};
use jiff::SignedDuration;
use recovery::approval::{Asked, Override};
use recovery::baseline::{BASELINE_FORMAT, Baseline, BaselinePointer};
use recovery::failure::FailureName;
use recovery::inventory::Inventory;
use recovery::site::{ContentDigest, RunId, SiteLabel};
use serde_json::json;

use crate::world::{act, before_the_commit, commit, execute, now, stopped, world};

/// Review finding 7: the standby that took over dies before it was captured, and the old site is well again.
#[tokio::test]
async fn a_second_disaster_before_the_first_capture_restores_the_record_of_that_very_site() {
    let ports = before_the_commit().await;
    commit(&ports, "run-1").await.unwrap();
    stopped(&ports, "run-1").await.unwrap();
    let plan = ports.plan_name.to_string();
    let unfence = json!({"act": "unfence", "site": "primary", "who": "Ada", "why": "well again", "confirm": plan});
    act(&ports, unfence).await.unwrap();
    execute(&ports, "run-2", json!({"mode": "failover"}))
        .await
        .unwrap();
    let run = ports.run(&RunId::new("run-2")).await.unwrap();
    assert_eq!(
        (run.target, run.baseline().site),
        (SiteLabel::Primary, SiteLabel::Primary)
    );
    let shown = run.evidence.signals.join("\n");
    assert!(
        shown.contains("the record of the primary site itself"),
        "{shown}"
    );
    let plan = ports.plan().await.unwrap();
    let needed = Asked::start(&plan, &run, vec![]).overrides;
    assert!(
        needed.contains(&Override::OlderRecord {
            site: SiteLabel::Primary,
            captured_at: now()
        }),
        "a person must accept it, so no plan approves by itself: {needed:?}"
    );
}

/// A capture of the primary that was kept aside, a minute after the one that counts.
async fn candidate(ports: &Ports, site: SiteLabel) -> ContentDigest {
    let epoch = ports.state().await.unwrap().epoch;
    let baseline = Baseline {
        format_version: BASELINE_FORMAT,
        epoch,
        inventory: Inventory {
            site,
            read_at: now() + SignedDuration::from_secs(60),
            resources: vec![],
            runs: vec![],
        },
        permissions: BTreeMap::new(),
        names: BTreeMap::from([("policy/1".to_owned(), "policy \"other\"".to_owned())]),
    };
    // Never stored: it may be larger than the memory of a function, so whoever reads it whole fails here.
    let digest = baseline.digest();
    let kept = baseline.candidate(&digest);
    ports.put(keys::BASELINE_CANDIDATE, &kept).await.unwrap();
    digest
}

async fn accept(ports: &Ports, digest: &ContentDigest) -> Result<(), aws::Failure> {
    let accept = json!({"act": "accept-baseline", "digest": digest, "who": "Ada", "why": "meant"});
    act(ports, accept).await
}

async fn current(ports: &Ports) -> BaselinePointer {
    ports.baseline_pointer().await.unwrap().unwrap()
}

/// Review finding 11: the runbook told people to delete what the bucket's policy protects.
#[tokio::test]
async fn a_person_accepts_a_candidate_by_its_digest_and_nothing_else() {
    let ports = world().await;
    let before = current(&ports).await;
    let other = ContentDigest::of(b"other");
    let none = accept(&ports, &other).await.unwrap_err();
    assert!(none.message.contains("nothing to accept"), "{none}");
    let digest = candidate(&ports, SiteLabel::Primary).await;
    let wrong = accept(&ports, &other).await.unwrap_err();
    assert!(wrong.message.contains(digest.as_str()), "{wrong}");
    assert_eq!(current(&ports).await, before);
    accept(&ports, &digest).await.unwrap();
    accept(&ports, &digest).await.unwrap();
    assert_eq!(current(&ports).await.digest, digest);

    let ports = world().await;
    let of_the_standby = candidate(&ports, SiteLabel::Secondary).await;
    let refused = accept(&ports, &of_the_standby).await.unwrap_err();
    assert!(
        refused.message.contains("primary site is active"),
        "{refused}"
    );

    // As the first version wrote it.
    let ports = world().await;
    ports.put(keys::BASELINE_CANDIDATE, &other).await.unwrap();
    let old = accept(&ports, &other).await.unwrap_err();
    assert!(old.message.contains("next capture"), "{old}");

    let ports = before_the_commit().await;
    let in_a_run = candidate(&ports, SiteLabel::Primary).await;
    let blocked = accept(&ports, &in_a_run).await.unwrap_err();
    assert_eq!(blocked.name, FailureName::Blocked);
}
