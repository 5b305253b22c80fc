//! A site that is neither well nor gone: what can be done there is done, and a run leaves it only by the plan's rule or by people's word.

use aws::{Failure, keys};
use fencing::site::{EXECUTION, RUN, SITE};
use fencing::{Pace, Site};
use recovery::approval::{Choice, Door, Override, Question, Receipt, Request, Wish};
use recovery::failure::FailureName;
use recovery::fence::FenceAnswer;
use recovery::run::{Mode, Stage};
use recovery::site::{RunId, RunToken};
use recovery::state::{Fence, FenceGap};
use serde_json::{Value, json};
use shutdown_site::Answer;

use crate::estate::small;

const ME: &str = "/api/2.0/preview/scim/v2/Me";
const ALERTS: &str = "/api/2.0/alerts";

/// A failover that has recorded its site and begins to fence it, so many seconds ago.
async fn failover(seconds_ago: i64) -> Site {
    let site = Site::start(small(), Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    site.begin(Mode::Failover, &record).await.unwrap();
    let (run, token) = (RunId::new(RUN), RunToken::new(EXECUTION));
    site.ports.enter(&run, &token, Stage::Fence).await.unwrap();
    site.later(seconds_ago);
    site
}

async fn fails(site: &Site, method: Option<&str>, path: &str) {
    let fault = json!({"method": method, "path": path, "kind": "status", "status": 503, "body": {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "x"}});
    site.control("faults", &fault).await.unwrap();
}

async fn pass(site: &Site) -> (FenceAnswer, String) {
    match site.fence_in_run().await.unwrap() {
        Answer::Fenced { answer, reason } => (answer, reason),
        other => panic!("{other:?}"),
    }
}

async fn fence(site: &Site) -> Fence {
    let state = site.state().await.unwrap();
    state.fences.get(&SITE).unwrap().clone()
}

async fn live(site: &Site) -> Vec<String> {
    let live = drill::live::places(&site.inventory().await.unwrap());
    live.iter().map(|place| format!("{place:?}")).collect()
}

async fn question(site: &Site) -> Option<Request> {
    let question = Question::Fence {
        site: SITE,
        since: fence(site).await.since,
    };
    let run = RunId::new(RUN);
    site.ports.request(&run, &question).await.unwrap()
}

async fn decide(site: &Site, request: &Request, decision: Choice, who: &str) -> Receipt {
    let wish = Wish {
        decision,
        who: who.to_owned(),
        why: "seen".to_owned(),
        via: Door::Iam {
            principal: format!("arn:aws:iam::123456789012:user/{who}"),
        },
        accepted: request.overrides.clone(),
    };
    let receipt = site.ports.record_decision(&request.id, wish).await.unwrap();
    receipt.unwrap()
}

/// Review finding 3: one endpoint answered 503 for a minute, nothing was even attempted, and the run committed.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_whose_sign_in_fails_is_fenced_all_the_same() {
    let site = failover(0).await;
    fails(&site, None, ME).await;
    let (answer, reason) = pass(&site).await;
    assert_eq!(live(&site).await, Vec::<String>::new(), "{reason}");
    assert_eq!(answer, FenceAnswer::Proceed, "read as quiet: {reason}");
    assert_eq!(fence(&site).await.left_as, None);
    site.stop().await;
}

/// What cannot be read is paused by the ids of the baseline.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_answers_no_read_is_paused_by_id() {
    let site = failover(1800).await;
    fails(&site, Some("GET"), "/api").await;
    let (answer, reason) = pass(&site).await;
    let live = live(&site).await;
    assert!(
        !live.iter().any(|place| place.contains("job")),
        "{live:?}: {reason}"
    );
    assert_eq!(answer, FenceAnswer::Continue, "{reason}");
    assert_eq!(fence(&site).await.verified_at, None, "nobody has read it");
    site.stop().await;
}

/// Review finding 4: one list that failed for ever could not be left by any act.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_dead_site_is_left_when_two_people_accept_exactly_what_is_shown() {
    let site = failover(1800).await;
    fails(&site, Some("GET"), ALERTS).await;
    let (answer, reason) = pass(&site).await;
    assert_eq!(answer, FenceAnswer::Continue, "{reason}");
    assert_eq!(live(&site).await, Vec::<String>::new(), "{reason}");
    let request = question(&site).await.unwrap();
    let [Override::FenceIncomplete { unread, live, .. }] = request.overrides.as_slice() else {
        panic!("{:?}", request.overrides)
    };
    assert_eq!(unread.iter().collect::<Vec<_>>(), ["alert"]);
    assert!(live.is_empty(), "{live:?}");
    let asked = site.notices.sent();
    let asked = asked.last().unwrap();
    assert!(asked.subject.contains("not quiet"), "{}", asked.subject);
    assert!(asked.message.contains("could not be read: alert"));

    decide(&site, &request, Choice::Approve, "ada").await;
    assert_eq!(pass(&site).await.0, FenceAnswer::Continue, "one of two");
    let again = decide(&site, &request, Choice::Approve, "ada").await;
    assert_eq!(again, Receipt::SamePerson);
    decide(&site, &request, Choice::Approve, "grace").await;
    // Beyond what was accepted: another list fails by now.
    fails(&site, Some("GET"), "/api/2.0/sql/warehouses").await;
    let (answer, reason) = pass(&site).await;
    assert_eq!(
        answer,
        FenceAnswer::Continue,
        "not what was shown: {reason}"
    );
    site.no_more_faults().await.unwrap();
    fails(&site, Some("GET"), ALERTS).await;
    let newer = question(&site).await.unwrap();
    assert_ne!(newer.id, request.id, "people are asked anew");
    decide(&site, &newer, Choice::Approve, "ada").await;
    decide(&site, &newer, Choice::Approve, "grace").await;
    let (answer, reason) = pass(&site).await;
    assert_eq!(answer, FenceAnswer::Proceed, "{reason}");
    let left = fence(&site).await;
    assert_eq!(left.left_as, Some(FenceGap::HalfDead));
    assert_eq!(left.verified_at, None);

    // The fence works on, and finds it quiet when it can be read.
    site.no_more_faults().await.unwrap();
    site.fence_once().await.unwrap();
    assert!(site.is_verified().await.unwrap());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_dead_site_that_people_do_not_leave_ends_the_run() {
    let site = failover(1800).await;
    fails(&site, Some("GET"), ALERTS).await;
    pass(&site).await;
    let request = question(&site).await.unwrap();
    decide(&site, &request, Choice::Decline, "ada").await;
    let (answer, reason) = pass(&site).await;
    assert_eq!(answer, FenceAnswer::FenceUnverified, "{reason}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_with_objects_that_cannot_be_stopped_is_left_only_with_these_by_name() {
    let site = failover(1800).await;
    fails(&site, Some("POST"), "/api/2.1/clusters/delete").await;
    let (answer, reason) = pass(&site).await;
    assert_eq!(answer, FenceAnswer::Continue, "{reason}");
    let request = question(&site).await.unwrap();
    let [Override::FenceIncomplete { unread, live, .. }] = request.overrides.as_slice() else {
        panic!("{:?}", request.overrides)
    };
    assert!(unread.is_empty());
    let live = serde_json::to_value(live).unwrap();
    assert_eq!(live, json!({"cluster": ["c-1"]}));
    site.stop().await;
}

/// The site answers, and serves nobody: credentials that it no longer takes, or a front that stands without what is behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusing_site_is_left_after_its_own_time_and_only_with_somebodys_word() {
    let site = failover(0).await;
    fails(&site, None, "/").await;
    assert_eq!(pass(&site).await.0, FenceAnswer::Continue);
    assert!(fence(&site).await.refusing_since.is_some());
    site.later(200);
    assert_eq!(pass(&site).await.0, FenceAnswer::Continue);
    assert!(question(&site).await.is_none(), "too early to ask");
    site.later(100);
    let (answer, reason) = pass(&site).await;
    assert_eq!(answer, FenceAnswer::Continue, "{reason}");
    let request = question(&site).await.unwrap();
    assert_eq!(request.overrides, [Override::SiteRefuses { site: SITE }]);
    decide(&site, &request, Choice::Approve, "ada").await;
    let (answer, reason) = pass(&site).await;
    assert_eq!(answer, FenceAnswer::Proceed, "{reason}");
    assert_eq!(fence(&site).await.left_as, Some(FenceGap::Refusing));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_ends_a_refusal() {
    let site = failover(0).await;
    fails(&site, None, "/").await;
    pass(&site).await;
    site.no_more_faults().await.unwrap();
    fails(&site, Some("GET"), ALERTS).await;
    site.later(1800);
    pass(&site).await;
    assert_eq!(fence(&site).await.refusing_since, None);
    site.stop().await;
}

/// The approval of the start may have accepted it beforehand: no second question at night.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_was_accepted_beforehand_is_not_asked_again() {
    let site = failover(0).await;
    let (run, plan) = (RunId::new(RUN), site.ports.plan().await.unwrap());
    let document = site.ports.run(&run).await.unwrap();
    let asked = recovery::approval::Asked::start(&plan, &document, vec![]);
    assert_eq!(asked.offers, [Override::SiteRefuses { site: SITE }]);
    let id = recovery::approval::ApprovalId::from_bits(1);
    let request = asked.request(id, site.ports.now());
    site.ports.open_request(&request, None).await.unwrap();
    let wish = Wish {
        decision: Choice::Approve,
        who: "ada".to_owned(),
        why: "dark".to_owned(),
        via: Door::Invoke {
            request: "x".to_owned(),
        },
        accepted: request
            .overrides
            .iter()
            .chain(&request.offers)
            .cloned()
            .collect(),
    };
    site.ports.record_decision(&request.id, wish).await.unwrap();
    fails(&site, None, "/").await;
    pass(&site).await;
    site.later(300);
    let (answer, reason) = pass(&site).await;
    assert_eq!(answer, FenceAnswer::Proceed, "{reason}");
    assert!(question(&site).await.is_none());
    site.stop().await;
}

/// Nothing is written to a workspace that is another one than the plan's, also where nobody says who is signed in.
#[tokio::test(flavor = "multi_thread")]
async fn another_workspace_at_this_address_is_not_touched() {
    let site = failover(0).await;
    let mut plan: Value = site.ports.read(keys::PLAN).await.unwrap().unwrap();
    let id = plan.pointer_mut("/sites/primary/workspace_id").unwrap();
    *id = json!("1000000000000009");
    site.ports.put(keys::PLAN, &plan).await.unwrap();
    let before = site.inventory().await.unwrap();
    for path in [None, Some(ME)] {
        if let Some(path) = path {
            fails(&site, None, path).await;
        }
        let refused: Failure = site.fence_in_run().await.unwrap_err();
        assert_eq!(refused.name, FailureName::WrongWorkspace, "{refused}");
    }
    let changed = drill::way_back::differences(&before, &site.inventory().await.unwrap());
    assert_eq!(changed, Vec::<String>::new());
    site.stop().await;
}

/// A list of jobs that fails shows nobody's mode: what runs at both sites on purpose goes on.
#[tokio::test(flavor = "multi_thread")]
async fn runs_of_spared_jobs_outlive_a_list_of_jobs_that_fails() {
    let mut estate = small();
    let runs = estate["runs"].as_array_mut().unwrap();
    runs.push(json!({"run_id": 906, "job_id": 6, "run_name": "at both sites on purpose", "status": {"state": "RUNNING"}, "state": {"life_cycle_state": "RUNNING"}}));
    let site = Site::start(estate, Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    site.begin(Mode::Failover, &record).await.unwrap();
    let (run, token) = (RunId::new(RUN), RunToken::new(EXECUTION));
    site.ports.enter(&run, &token, Stage::Fence).await.unwrap();
    site.later(1800);
    fails(&site, Some("GET"), "/api/2.2/jobs/list").await;
    pass(&site).await;
    let runs = site.inventory().await.unwrap()["runs"].clone();
    let spared = runs
        .as_array()
        .unwrap()
        .iter()
        .find(|run| run["run_id"] == 906)
        .unwrap();
    assert_eq!(spared["status"]["state"], "RUNNING", "{spared}");
    site.stop().await;
}

/// Whoever answers everything with nothing is not known to be the workspace: nothing is proven by it, and nothing written to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_front_that_answers_everything_with_nothing_proves_no_quiet() {
    let site = failover(1800).await;
    let front = json!({"path": "/api", "kind": "status", "status": 200, "body": {}, "headers": {"X-Databricks-Org-Id": ""}});
    site.control("faults", &front).await.unwrap();
    let before = site.inventory().await.unwrap();
    let (answer, reason) = pass(&site).await;
    assert_ne!(answer, FenceAnswer::Proceed, "{reason}");
    assert_eq!(fence(&site).await.verified_at, None, "{reason}");
    let changed = drill::way_back::differences(&before, &site.inventory().await.unwrap());
    assert_eq!(changed, Vec::<String>::new());
    site.stop().await;
}

/// Another attempt of the run asks anew, whatever became of the first question, and what people accepted then does not hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_run_asks_again_about_a_site_that_is_not_quiet() {
    for decision in [Choice::Approve, Choice::Decline] {
        let site = failover(1800).await;
        fails(&site, Some("GET"), ALERTS).await;
        pass(&site).await;
        let first = question(&site).await.unwrap();
        decide(&site, &first, decision, "ada").await;
        decide(&site, &first, decision, "grace").await;
        let (run, token) = (RunId::new(RUN), RunToken::new(EXECUTION));
        site.ports
            .change_own_run(&run, &token, |d| d.attempt = 2)
            .await
            .unwrap();
        site.ports.enter(&run, &token, Stage::Fence).await.unwrap();
        site.later(1800);
        let (answer, reason) = pass(&site).await;
        assert_eq!(answer, FenceAnswer::Continue, "{decision:?}: {reason}");
        let second = question(&site).await.unwrap();
        assert_ne!(second.id, first.id);
        assert!(second.sent_at.is_some(), "people are asked");
        site.stop().await;
    }
}
