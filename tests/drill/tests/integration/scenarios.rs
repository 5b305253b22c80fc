//! The scenarios, each with the promise it keeps.

use std::path::PathBuf;

use drill::progress::Progress;
use drill::{Options, Scenario, Summary};
use recovery::run::Outcome;

use crate::checker;

/// The binaries that `cargo xtask test` has built, or a build of our own.
pub(crate) async fn binaries() -> PathBuf {
    match std::env::var_os("DRILL_BINARIES") {
        Some(folder) => folder.into(),
        None => drill::build::functions(&drill::build::repository())
            .await
            .unwrap(),
    }
}

async fn drill(scenario: Scenario, inventory: Option<PathBuf>) -> (Summary, tempfile::TempDir) {
    let out = tempfile::tempdir().unwrap();
    let options = Options {
        scenario,
        inventory,
        out: out.path().to_owned(),
        root: drill::build::repository(),
        binaries: binaries().await,
        interactive: false,
        without: None,
    };
    let summary = drill::run(&options, &Progress::new(22)).await.unwrap();
    assert_eq!(summary.violations, Vec::<String>::new());
    assert_eq!(summary.parity_differences, Vec::<String>::new());
    assert_eq!(summary.outcome, scenario.expected(), "{}", summary.reason);
    assert_eq!(summary.is_success(), summary.outcome == Outcome::Completed);
    (summary, out)
}

#[tokio::test]
async fn after_a_failover_the_standby_runs_exactly_what_the_primary_ran_and_the_fence_catches_its_return()
 {
    let (summary, _out) = drill(Scenario::Failover, None).await;
    for stage in [
        "Begin",
        "Readiness",
        "Approval",
        "Fence",
        "Recheck",
        "Pools",
        "Compute",
        "Validation",
        "Commit",
        "JobConcurrency",
        "OneTimeRuns",
        "Schedules",
        "Endpoints",
    ] {
        assert!(
            summary.stages.contains_key(stage),
            "the report lacks stage {stage}"
        );
    }
    assert!(summary.rto_seconds.is_some());
    assert!(
        summary.rpo.get("lake").is_some_and(Option::is_some),
        "the loss is not known"
    );
    for kind in ["job", "cluster", "warehouse", "instance_pool", "pipeline"] {
        assert!(
            summary.restored.contains_key(kind),
            "no {kind} was restored"
        );
        assert!(summary.fenced.contains_key(kind), "no {kind} was fenced");
    }
    assert!(summary.report.as_ref().is_some_and(|r| r.is_file()));
    checker::check(&summary.recordings);
}

#[tokio::test]
async fn after_the_way_home_both_sites_are_as_they_were_at_the_start_and_nothing_written_was_lost()
{
    let (summary, _out) = drill(Scenario::FailoverAndFailback, None).await;
    let second = summary.second.unwrap();
    assert_eq!(second.outcome, Outcome::Completed, "{}", second.reason);
    let stages: Vec<&str> = second
        .stages
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    for stage in [
        "Capture",
        "Fence",
        "Drain",
        "Commit",
        "Schedules",
        "Standby",
    ] {
        assert!(stages.contains(&stage), "no {stage} in {stages:?}");
    }
    checker::check(&summary.recordings);
}

#[tokio::test]
async fn a_promotion_makes_the_secondary_the_home_and_the_primary_its_standby() {
    let (summary, _out) = drill(Scenario::Promotion, None).await;
    checker::check(&summary.recordings);
}

#[tokio::test]
async fn a_rehearsal_moves_nobody_and_leaves_both_sites_as_they_were() {
    let (summary, out) = drill(Scenario::Rehearsal, None).await;
    for stage in ["Rehearsal", "Pools", "Compute", "Validation", "Standby"] {
        assert!(summary.stages.contains_key(stage), "no {stage}");
    }
    for stage in ["Approval", "Fence", "Commit", "Schedules", "Endpoints"] {
        assert!(
            !summary.stages.contains_key(stage),
            "{stage} in a rehearsal"
        );
    }
    let found = out
        .path()
        .join("state/runs/rehearsal-1/fence-rehearsal.json");
    let found: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(found).unwrap()).unwrap();
    let acts = found["acts"].as_object().unwrap().values();
    let acts: u64 = acts.filter_map(serde_json::Value::as_u64).sum();
    assert!(acts >= 20, "the fence was not worked out: {found}");
    assert_eq!(found["refused"], serde_json::json!([]));
    checker::check(&summary.recordings);
}

#[tokio::test]
async fn a_rehearsal_that_is_stopped_in_the_middle_is_cleaned_up_all_the_same() {
    drill(Scenario::RehearsalStopped, None).await;
}

#[tokio::test]
async fn a_disaster_during_a_rehearsal_goes_first() {
    let (summary, _out) = drill(Scenario::RehearsalPreempted, None).await;
    checker::check(&summary.recordings);
}

#[tokio::test]
async fn a_planned_move_that_is_given_up_in_any_stage_leaves_both_sites_as_they_were() {
    let (summary, _out) = drill(Scenario::SwitchoverGivenUp, None).await;
    checker::check(&summary.recordings);
}

#[tokio::test]
async fn a_planned_move_whose_fence_cannot_be_verified_leads_back_by_itself() {
    let (summary, _out) = drill(Scenario::SwitchoverUnverified, None).await;
    assert!(
        summary.reason.contains("brought back"),
        "{}",
        summary.reason
    );
}

#[tokio::test]
async fn every_outcome_that_waits_for_something_can_be_resumed_when_that_is_repaired() {
    let (summary, _out) = drill(Scenario::ResumedEverywhere, None).await;
    assert!(summary.stages.contains_key("Endpoints"));
}

#[tokio::test]
async fn a_loss_above_the_objective_is_lost_only_if_the_approver_accepted_it_by_name() {
    let (summary, _out) = drill(Scenario::LossAboveObjective, None).await;
    let lost = summary.rpo.get("sales-together").copied().flatten();
    assert!(lost.is_some_and(|seconds| seconds > 1), "{lost:?}");
    let report = std::fs::read_to_string(summary.report.unwrap()).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let accepted = &report["decisions"][0]["decisions"][0]["accepted"];
    assert_eq!(
        accepted[0]["override"], "loss_above_objective",
        "{accepted}"
    );
    assert_eq!(accepted[0]["loss_seconds"].as_i64(), lost);
    assert!(
        report["repair"]["restored"].as_u64() > Some(0)
            && report["repair"]["moved"].as_u64() > Some(0),
        "the scripts for the standby's tables are missing: {}",
        report["repair"]
    );
}

#[tokio::test]
async fn a_scanner_of_mails_decides_nothing_and_a_person_on_the_page_does() {
    let (summary, _out) = drill(Scenario::ApprovedOnThePage, None).await;
    let report = std::fs::read_to_string(summary.report.unwrap()).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let decisions = report["decisions"][0]["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 1, "one decision counts: {decisions:?}");
    assert_eq!(decisions[0]["via"]["door"], "page");
    assert!(
        !report["views"].as_array().unwrap().is_empty(),
        "who looked is not kept"
    );
}

#[tokio::test]
async fn a_platform_that_goes_on_behind_a_dark_control_plane_is_fenced_when_it_answers_again() {
    let (summary, _out) = drill(Scenario::FailoverStillRunning, None).await;
    checker::check(&summary.recordings);
}

#[tokio::test]
async fn a_real_estate_fails_over_object_by_object() {
    let Some(shared) = checker::shared() else {
        eprintln!("skipped: the real inventory in ../shared is not on this machine");
        return;
    };
    let (summary, _out) = drill(
        Scenario::Failover,
        Some(shared.join("data/workspaces/bundle-examples.json")),
    )
    .await;
    checker::check(&summary.recordings);
}

#[tokio::test]
async fn a_job_missing_at_the_standby_ends_in_not_ready_before_anybody_is_asked() {
    let (summary, _out) = drill(Scenario::MissingJob, None).await;
    assert!(summary.reason.contains("(MISSING)"), "{}", summary.reason);
    assert!(!summary.stages.contains_key("Approval"));
    assert!(summary.fenced.is_empty());
}

#[tokio::test]
async fn every_difference_that_was_planted_at_the_standby_of_a_real_estate_is_reported_and_no_other()
 {
    // The scenario itself compares what was planted with what is reported.
    let real = checker::shared().map(|s| s.join("data/workspaces/bundle-examples.json"));
    let (summary, _out) = drill(Scenario::DriftedStandby, real).await;
    assert!(summary.reason.contains("DRIFTED"), "{}", summary.reason);
    assert!(summary.fenced.is_empty());
    checker::check(&summary.recordings);
}

#[tokio::test]
async fn a_target_that_does_not_prove_itself_is_never_committed() {
    let (summary, _out) = drill(Scenario::ValidationFails, None).await;
    assert!(summary.reason.contains("metastore"), "{}", summary.reason);
    assert!(!summary.stages.contains_key("Commit"));
    assert!(
        summary
            .next
            .as_deref()
            .is_some_and(|n| n.contains("\"mode\":\"resume\""))
    );
}

#[tokio::test]
async fn a_run_that_failed_validation_is_resumed_after_the_repair_and_completes() {
    let (summary, _out) = drill(Scenario::ResumeAfterRepair, None).await;
    let report = std::fs::read_to_string(summary.report.unwrap()).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let checks = report["checks"].as_array().unwrap();
    for name in ["canary job \"DR canary\"", "permissions of warehouse *"] {
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        assert_eq!(check["passed"], true, "{check}");
    }
    checker::check(&summary.recordings);
}

#[tokio::test]
async fn a_failed_check_is_passed_over_only_if_a_person_accepted_it_by_name() {
    let (summary, _out) = drill(Scenario::ValidationAccepted, None).await;
    let report = std::fs::read_to_string(summary.report.unwrap()).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let accepted = report["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|d| d["decisions"].as_array().unwrap())
        .flat_map(|d| d["accepted"].as_array().unwrap())
        .find(|o| o["override"] == "validation_failed");
    assert!(accepted.is_some(), "{}", report["decisions"]);
    let failed = report["checks"].as_array().unwrap();
    assert!(
        failed.iter().any(|c| c["passed"] == false),
        "the report hides the failed check"
    );
}

#[tokio::test]
async fn silence_is_a_decline_and_changes_nothing() {
    let (summary, _out) = drill(Scenario::NobodyApproves, None).await;
    assert!(!summary.stages.contains_key("Fence"));
}

#[tokio::test]
async fn a_decline_ends_the_run_and_changes_nothing() {
    let (summary, _out) = drill(Scenario::Declined, None).await;
    assert!(
        summary.reason.contains("drill"),
        "who declined is not told: {}",
        summary.reason
    );
    assert!(!summary.stages.contains_key("Fence"));
}

#[tokio::test]
async fn a_typo_in_the_mode_fails_by_name_and_writes_nothing() {
    let (summary, _out) = drill(Scenario::WrongMode, None).await;
    assert!(
        summary.reason.contains("fail-over") && summary.reason.contains(r#"{"mode":"failover"}"#),
        "{}",
        summary.reason
    );
}

#[tokio::test]
async fn an_execution_stopped_in_the_console_is_closed_and_gives_the_lock_back() {
    let (summary, _out) = drill(Scenario::Stopped, None).await;
    assert!(
        summary.reason.contains("stopped by hand"),
        "{}",
        summary.reason
    );
}

#[tokio::test]
async fn a_bad_plan_is_refused_by_every_function_and_writes_nothing() {
    let (summary, _out) = drill(Scenario::BadPlan, None).await;
    assert!(
        summary.reason.contains("objectives.rto_seconds: is 0"),
        "{}",
        summary.reason
    );
}

#[tokio::test]
async fn an_abandoned_run_leads_back_to_both_sites_exactly_as_they_were() {
    let (summary, _out) = drill(Scenario::AbandonedAndReset, None).await;
    checker::check(&summary.recordings);
}

#[tokio::test]
async fn a_primary_that_refuses_everything_is_left_with_a_persons_word_and_fenced_when_it_serves_again()
 {
    drill(Scenario::FailoverRefusing, None).await;
}

#[tokio::test]
async fn a_half_dead_primary_is_left_when_two_people_accept_by_name_what_is_not_known() {
    drill(Scenario::FailoverHalfDead, None).await;
}

#[tokio::test]
async fn what_does_not_start_is_left_behind_by_name_and_everything_else_is_as_it_was() {
    drill(Scenario::LeftBehind, None).await;
}

#[tokio::test]
async fn after_a_second_disaster_the_well_site_becomes_what_it_was_itself() {
    drill(Scenario::SecondDisaster, None).await;
}

#[tokio::test]
async fn two_people_are_two_people() {
    drill(Scenario::TwoPeople, None).await;
}
