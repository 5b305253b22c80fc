//! Playing a scenario, and the row it gives.

use aws::notices::Audience;
use recovery::verdict::Verdict;

use crate::{DetectionError, Scenario, World};

/// Probes before anything happens.
const BEFORE: u32 = 2;
/// Probes of a scenario that is no disaster: enough for any series of failures to be confirmed.
const LONG: u32 = 7;
/// Probes after the verdict of a disaster: nothing may start twice.
const AFTER: u32 = 2;
/// Within so many probes a disaster of the scenarios' plan must start its run: the larger of confirmations (3) and grace / interval
/// + 1 (120 / 60 + 1), plus one.
const BOUND: u32 = 4;

/// What a scenario came to.
#[derive(Clone, Debug)]
pub struct Row {
    /// The scenario.
    pub scenario: Scenario,
    /// The last verdict.
    pub verdict: Verdict,
    /// How many probes it took until the expected verdict; none if it never came.
    pub probes: Option<u32>,
    /// How many probes it took until a run was started.
    pub started_after: Option<u32>,
    /// Messages to the managers.
    pub managers: usize,
    /// Pages to whom to wake.
    pub pages: usize,
    /// Runs that were started.
    pub runs: usize,
    /// What stands in the way of a run.
    pub blocked: Vec<String>,
}

impl Row {
    /// What was promised and did not come.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let scenario = self.scenario;
        let mut broken = Vec::new();
        if self.verdict != scenario.verdict() {
            broken.push(format!(
                "expected {}, found {}",
                scenario.verdict(),
                self.verdict
            ));
        }
        if self.runs != scenario.runs() {
            broken.push(format!(
                "expected {} runs, found {}",
                scenario.runs(),
                self.runs
            ));
        }
        if self.probes.is_none_or(|probes| probes > LONG) {
            broken.push("the verdict did not come".to_owned());
        }
        let late = self.started_after.is_none_or(|probes| probes > BOUND);
        if scenario.runs() > 0 && late {
            broken.push(format!("no run within {BOUND} probes"));
        }
        let blocked = scenario.is_disaster() && scenario.runs() == 0;
        if blocked == self.blocked.is_empty() {
            broken.push(format!("reasons against a run: {:?}", self.blocked));
        }
        // Who opens an incident tells the managers once; who opens none does not.
        if self.managers != usize::from(scenario.is_disaster()) {
            broken.push(format!("{} messages to the managers", self.managers));
        }
        broken
    }
}

/// Plays a scenario in a world of its own.
///
/// # Errors
/// It could not be played.
pub async fn play(scenario: Scenario) -> Result<Row, DetectionError> {
    let mut world = World::start(scenario.start()).await?;
    for _ in 0..BEFORE {
        let verdict = world.round().await?.verdict;
        if verdict != Some(Verdict::Healthy) {
            return Err(DetectionError::SickFromTheStart(
                verdict.unwrap_or(Verdict::Inconclusive),
            ));
        }
    }
    let mut row = Row {
        scenario,
        verdict: Verdict::Healthy,
        probes: None,
        started_after: None,
        managers: 0,
        pages: 0,
        runs: 0,
        blocked: vec![],
    };
    let mut probe = 0;
    let mut last = LONG;
    while probe < last {
        probe += 1;
        scenario.disturb(&mut world, probe).await?;
        let answer = world.round().await?;
        row.verdict = answer.verdict.unwrap_or(Verdict::Inconclusive);
        row.blocked = answer.blocked;
        if row.verdict == scenario.verdict() && row.probes.is_none() {
            row.probes = Some(probe);
            if scenario.is_disaster() {
                last = probe + AFTER;
            }
        }
        row.runs = world.executions.started().len();
        if row.runs > 0 && row.started_after.is_none() {
            row.started_after = Some(probe);
        }
    }
    let sent = world.notices.sent();
    let to = |audience| sent.iter().filter(|n| n.audience == audience).count();
    row.managers = to(Audience::Managers);
    row.pages = to(Audience::Escalation);
    Ok(row)
}
