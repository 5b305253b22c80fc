//! The control plane: signing in, and an authenticated call.

use std::time::Duration;

use databricks::{Error, Timeouts, Workspace};
use recovery::plan::{Detection, ProbePace};
use recovery::verdict::{Outcome, UnknownCause};

use super::Finding;
use crate::outcome;

/// The same client with the patience of one probe, and times of its own. Each call of several may take as long as the plan lets
/// a single call take.
pub(crate) fn patient(workspace: &Workspace, detection: &Detection, pace: ProbePace) -> Workspace {
    let call = pace.timeout.min(
        detection
            .probe_timeout_seconds
            .duration()
            .max(Duration::from_millis(1)),
    );
    let timeouts = Timeouts {
        connect: call,
        call,
        total: pace.timeout.max(call + SLACK),
    };
    // The plan's times grow, or it would have been refused.
    workspace
        .with_timeouts(timeouts)
        .unwrap_or_else(|_| workspace.clone())
}

/// By so much the whole may take longer than its one call: the call's own end, which says how it failed, must come first.
const SLACK: Duration = Duration::from_millis(250);

/// Patience for a probe that is one call.
pub(crate) fn patient_once(workspace: &Workspace, pace: ProbePace) -> Workspace {
    let timeouts = Timeouts {
        connect: pace.timeout,
        call: pace.timeout,
        total: pace.timeout + SLACK,
    };
    workspace
        .with_timeouts(timeouts)
        .unwrap_or_else(|_| workspace.clone())
}

/// The finding of a probe that talked to a workspace.
pub(crate) fn finding(workspace: &Workspace, result: Result<Outcome, Error>) -> Finding {
    let outcome = result.unwrap_or_else(|error| outcome::of_workspace(&error));
    Finding::new(outcome).at(workspace.settings().url.host(), workspace.times())
}

/// The token endpoint.
pub(crate) async fn sign_in(workspace: &Workspace, pace: ProbePace) -> Finding {
    let workspace = patient_once(workspace, pace);
    let result = workspace.sign_in().await.map(|_| Outcome::Healthy);
    finding(&workspace, result)
}

/// Reads who is signed in and compares the workspace's id: another workspace at this URL says nothing of this site.
pub(crate) async fn api(workspace: &Workspace, pace: ProbePace) -> Finding {
    let workspace = patient_once(workspace, pace);
    let result = workspace.verified().await.map(|_| Outcome::Healthy);
    finding(&workspace, result)
}

/// Nobody knows where or how to ask.
pub(crate) fn unknown(failure: &aws::Failure) -> Finding {
    use recovery::failure::FailureName;
    Finding::new(match failure.name {
        FailureName::InvalidPlan | FailureName::CredentialRefused | FailureName::AccessDenied => {
            UnknownCause::NotConfigured
        }
        _ => UnknownCause::ProbeError,
    })
}
