//! The scenarios.

use std::time::Duration;

use clap::ValueEnum;
use recovery::run::Outcome;

/// What happens in a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// A failover; then, when the primary is back and quiet, the planned move home: both sites as at the start.
    FailoverAndFailback,
    /// The primary's region goes dark; a person approves; the standby takes over; the primary comes back and is fenced.
    Failover,
    /// The same, but the primary's platform keeps running behind the dark control plane: its jobs go on firing.
    FailoverStillRunning,
    /// The same, but more data is lost than the objective allows; the approver accepts it by name.
    LossAboveObjective,
    /// The primary answers, and refuses everything: nobody knows what runs there, and a person accepts that by name.
    FailoverRefusing,
    /// One list of the primary fails for ever: two people accept by name that it is left so.
    FailoverHalfDead,
    /// A cluster does not start at the standby: a person leaves it behind by name.
    LeftBehind,
    /// The standby that took over dies before it was recorded, and the primary is well again: it becomes what it was itself.
    SecondDisaster,
    /// The plan asks for two people: a typed name counts for nobody, and one person for one.
    TwoPeople,
    /// A mail scanner follows every link of the request; then a person approves on the page.
    ApprovedOnThePage,
    /// A failover; the secondary is promoted to be the home, and the primary becomes its standby when it is back.
    Promotion,
    /// The deployed system rehearses by itself, as its schedule has it: nothing that users see is changed.
    Rehearsal,
    /// The same, stopped in the middle: it is cleaned up all the same.
    RehearsalStopped,
    /// The same, and the primary's region goes dark in the middle.
    RehearsalPreempted,
    /// A planned move is begun and given up in every stage before its commit.
    SwitchoverGivenUp,
    /// A planned move finds that the site it leaves cannot be made quiet.
    SwitchoverUnverified,
    /// A planned move meets every trouble on its way, and is resumed each time.
    ResumedEverywhere,
    /// A job of the baseline does not exist at the standby.
    MissingJob,
    /// The standby differs from the primary in every way that readiness knows.
    DriftedStandby,
    /// A statement of the plan fails at the target.
    ValidationFails,
    /// The same; then the target is repaired and the run resumed.
    ResumeAfterRepair,
    /// The same, but nothing is repaired: a person accepts by name that the check fails, and the run is resumed.
    ValidationAccepted,
    /// A check fails; the run is abandoned, the primary comes back, its fence is lifted and both sites are reset.
    AbandonedAndReset,
    /// Nobody answers the request.
    NobodyApproves,
    /// A person declines.
    Declined,
    /// The state machine is started with a mode that does not exist.
    WrongMode,
    /// Somebody stops the execution in the console while it waits for the approval.
    Stopped,
    /// The plan in the bucket has an objective of 0.
    BadPlan,
}

impl Scenario {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |v| v.get_name().to_owned())
    }

    /// One line for `--list`.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::FailoverAndFailback => {
                "a failover, and then the planned move home: both sites as at the start (default)"
            }
            Self::Failover => "region dark, approval, failover, the primary returns and is fenced",
            Self::FailoverStillRunning => {
                "the same, with the primary's jobs still firing behind a dark control plane"
            }
            Self::LossAboveObjective => {
                "more data is lost than the objective allows: accepted by name, and in the report"
            }
            Self::FailoverRefusing => {
                "the primary refuses everything: left with a person's word, fenced when it serves again"
            }
            Self::FailoverHalfDead => {
                "one list of the primary fails for ever: two people leave it by name"
            }
            Self::LeftBehind => {
                "a cluster does not start at the standby: it is left behind by name"
            }
            Self::SecondDisaster => {
                "the standby dies before it was recorded: the primary becomes what it was itself"
            }
            Self::TwoPeople => "two people must approve, whom AWS knows by name",
            Self::ApprovedOnThePage => {
                "a mail scanner follows every link and changes nothing; a person approves on the page"
            }
            Self::Promotion => {
                "a failover for good: the secondary is the home, the primary its standby"
            }
            Self::Rehearsal => "the drill mode of the deployed system, as its schedule starts it",
            Self::RehearsalStopped => {
                "the same, stopped in the middle: ends in Stopped, and is cleaned up"
            }
            Self::RehearsalPreempted => {
                "the same, and a disaster in the middle: the failover goes first"
            }
            Self::SwitchoverGivenUp => {
                "a planned move, given up in every stage: both sites are as they were"
            }
            Self::SwitchoverUnverified => {
                "a planned move that cannot verify its fence: FenceUnverified, led back"
            }
            Self::ResumedEverywhere => {
                "a planned move that meets seven troubles and is resumed after each: ends in Completed"
            }
            Self::MissingJob => "a job is missing at the standby: ends in NotReady",
            Self::DriftedStandby => {
                "the standby differs in every way that is known: each is reported, ends in NotReady"
            }
            Self::ValidationFails => "a check fails at the target: ends in ValidationFailed",
            Self::ResumeAfterRepair => "the same, then repaired and resumed: ends in Completed",
            Self::ValidationAccepted => {
                "a check fails and stays so; a person accepts it by name: ends in Completed"
            }
            Self::AbandonedAndReset => {
                "a check fails and the run is abandoned: both sites are as they were before"
            }
            Self::NobodyApproves => "nobody answers: ends in ApprovalExpired",
            Self::Declined => "a person declines: ends in Declined",
            Self::WrongMode => "a typo in the console input: ends in Failed, and nothing begins",
            Self::Stopped => "the execution is stopped in the console: ends in Stopped",
            Self::BadPlan => {
                "the plan has an objective of 0: refused with the field's path, and nothing begins"
            }
        }
    }

    /// How it must end.
    #[must_use]
    pub const fn expected(self) -> Outcome {
        match self {
            Self::FailoverAndFailback
            | Self::Failover
            | Self::Promotion
            | Self::ResumedEverywhere
            | Self::Rehearsal
            | Self::RehearsalPreempted
            | Self::FailoverStillRunning
            | Self::LossAboveObjective
            | Self::FailoverRefusing
            | Self::FailoverHalfDead
            | Self::LeftBehind
            | Self::SecondDisaster
            | Self::TwoPeople
            | Self::ApprovedOnThePage
            | Self::ResumeAfterRepair
            | Self::ValidationAccepted => Outcome::Completed,
            Self::MissingJob | Self::DriftedStandby => Outcome::NotReady,
            Self::ValidationFails | Self::AbandonedAndReset => Outcome::ValidationFailed,
            Self::NobodyApproves => Outcome::ApprovalExpired,
            Self::Declined => Outcome::Declined,
            Self::WrongMode | Self::BadPlan => Outcome::Failed,
            Self::Stopped | Self::RehearsalStopped => Outcome::Stopped,
            Self::SwitchoverGivenUp => Outcome::Abandoned,
            Self::SwitchoverUnverified => Outcome::FenceUnverified,
        }
    }

    /// How long before the region replication ends.
    #[must_use]
    pub const fn replication_ends_before(self) -> Duration {
        match self {
            Self::LossAboveObjective => Duration::from_secs(3),
            _ => Duration::ZERO,
        }
    }

    /// Whether the primary's platform goes on behind its dark control plane.
    #[must_use]
    pub const fn keeps_running(self) -> bool {
        matches!(self, Self::FailoverStillRunning)
    }
}
