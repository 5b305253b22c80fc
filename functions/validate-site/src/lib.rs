//! Proves that the target works before anything is committed to it: sign-in, API calls, the plan's statements, permissions and canary
//! jobs; green, and still green at the end of the plan's soak time.
//!
//! Each call is one look: it checks everything anew and needs no memory but since when all was green. The state machine looks again.

mod accept;
mod canaries;
mod checks;

use aws::{Failure, Invocation, Ports, keys};
use recovery::plan::Plan;
use recovery::run::{RunDocument, Stage, ValidationAnswer};
use recovery::site::{RunId, RunToken};
use recovery::validation::{Check, ValidationDocument};
use serde::{Deserialize, Serialize};
use sites::{Purpose, Role, connect_to, frozen_url};

/// What the state machine hands over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The run.
    pub run: RunId,
    /// Its token.
    pub token: RunToken,
}

/// The answer to the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether every check held.
    pub answer: ValidationAnswer,
    /// In words.
    pub reason: String,
}

/// Runs all checks, also after one has failed: a person wants to see all that is broken.
///
/// # Errors
/// `LockLost`, `WrongWorkspace`, `NoBaseline`, or what the store said. A check that fails is an answer, not an error.
pub async fn handle(
    event: Event,
    ports: &Ports,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let plan = ports.plan().await?;
    let run = ports
        .enter(&event.run, &event.token, Stage::Validation)
        .await?;
    let site = run.target;
    let url = frozen_url(&run, site)?;
    let workspace = connect_to(ports, &plan, site, url, Role::Operator, Purpose::Run).await?;
    let mut found = vec![
        checks::sign_in(&workspace).await,
        checks::identity(&workspace, &plan, site).await,
    ];
    for kind in plan.protected_kinds() {
        found.push(checks::list(&workspace, site, kind, ports).await);
    }
    if !plan.validation.statements.is_empty() {
        found.extend(checks::statements(&workspace, &plan, site, ports, invocation).await);
    }
    if !plan.validation.permissions.is_empty() {
        let baseline = ports.baseline(&run.evidence.baseline.digest).await?;
        found.extend(checks::permissions(&workspace, &plan, &baseline, site, ports).await);
    }
    // Nothing is started at a workspace that is not the one of the plan.
    if let Ok(writer) = workspace.verified().await {
        found.extend(canaries::look(ports, &plan, &run, &event.token, &writer).await?);
    }
    finish(ports, &plan, &run, &event, found).await
}

async fn finish(
    ports: &Ports,
    plan: &Plan,
    run: &RunDocument,
    event: &Event,
    checks: Vec<Check>,
) -> Result<Answer, Failure> {
    let key = keys::of_run(&event.run, "validation.json");
    let before: Option<ValidationDocument> = ports.read(&key).await?;
    let now = ports.now();
    let look =
        |checks| ValidationDocument::new(before.as_ref(), run.target, run.attempt, checks, now);
    let mut document = look(checks);
    // The run may have lost its lock while the checks ran.
    ports.require_lock(&event.run, &event.token).await?;
    if let Some(by) = accepted(ports, plan, run, &document).await? {
        let mut checks = document.checks.clone();
        for check in checks.iter_mut().filter(|check| check.has_failed()) {
            check.accepted = Some(by.clone());
        }
        document = look(checks);
    }
    ports.put(&key, &document).await?;
    let soak = plan.validation.soak_seconds;
    let answer = document.answer(soak);
    if answer == ValidationAnswer::Passed {
        ports
            .finish(&event.run, &event.token, Stage::Validation)
            .await?;
    }
    Ok(Answer {
        answer,
        reason: document.in_words(soak),
    })
}

/// Who has accepted what fails; people are asked if nobody has. Nothing to accept while nothing fails.
async fn accepted(
    ports: &Ports,
    plan: &Plan,
    run: &RunDocument,
    document: &ValidationDocument,
) -> Result<Option<String>, Failure> {
    let failed = document.failed();
    if failed.is_empty() || failed.iter().any(|name| checks::is_vital(name)) {
        return Ok(None);
    }
    accept::accepted_or_asked(ports, plan, run, failed).await
}
