//! What stands in the way of a start by itself. Detection is never blocked; a person may start a run in spite of a cool-down, a
//! sick target, or an acknowledgement that is due.

use std::fmt;

use jiff::Timestamp;

use crate::run::Mode;
use crate::site::{RunId, SiteLabel};
use crate::state::State;
use crate::verdict::Verdict;

/// One thing that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// An operator's hold.
    Hold {
        /// Who set it.
        who: String,
        /// Why.
        why: String,
    },
    /// Another run is under way.
    Run(RunId),
    /// A run ended lately.
    CoolDown {
        /// Until when.
        until: Timestamp,
    },
    /// A run changed sites, did not complete, and nobody has vouched for what it left.
    AcknowledgementDue(RunId),
    /// A fence stands on the target.
    TargetFenced(SiteLabel),
    /// The verdict on the target is not `Healthy`.
    TargetUnhealthy {
        /// The target.
        site: SiteLabel,
        /// Its verdict.
        verdict: Verdict,
    },
}

impl Block {
    /// Its kind: people are told once of each.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Hold { .. } => "Hold",
            Self::Run(_) => "Run",
            Self::CoolDown { .. } => "CoolDown",
            Self::AcknowledgementDue(_) => "AcknowledgementDue",
            Self::TargetFenced(_) => "TargetFenced",
            Self::TargetUnhealthy { .. } => "TargetUnhealthy",
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold { who, why } => write!(f, "blocked: hold by {who} ({why})"),
            Self::Run(run) => write!(f, "blocked: run {run} is under way"),
            Self::CoolDown { until } => write!(f, "blocked: cool-down until {until}"),
            Self::AcknowledgementDue(run) => write!(
                f,
                "blocked: nobody has vouched for the active site after run {run}"
            ),
            Self::TargetFenced(site) => write!(f, "blocked: a fence stands on the {site} site"),
            Self::TargetUnhealthy { site, verdict } => {
                write!(f, "blocked: the verdict on the {site} site is {verdict}")
            }
        }
    }
}

/// Everything that stands in the way of a start towards `target`, of which `verdict` is known.
#[must_use]
pub fn blocks(state: &State, target: SiteLabel, verdict: Verdict, now: Timestamp) -> Vec<Block> {
    let hold = state.hold.as_ref().map(|hold| Block::Hold {
        who: hold.who.clone(),
        why: hold.why.clone(),
    });
    let run = state
        .lock
        .as_ref()
        .filter(|lock| !state.gives_way(lock, Mode::Failover))
        .map(|lock| Block::Run(lock.run.clone()));
    let cool_down = state
        .cool_down_until
        .filter(|until| *until > now)
        .map(|until| Block::CoolDown { until });
    // While its run still holds the lock, that is what stands in the way.
    let due = state
        .unsettled
        .as_ref()
        .filter(|_| state.lock.is_none())
        .map(|run| Block::AcknowledgementDue(run.clone()));
    let fenced = state
        .fences
        .contains_key(&target)
        .then_some(Block::TargetFenced(target));
    let sick = (verdict != Verdict::Healthy).then_some(Block::TargetUnhealthy {
        site: target,
        verdict,
    });
    [hold, run, cool_down, due, fenced, sick]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Mode;
    use crate::site::{PlanName, RunToken};
    use crate::state::{Fence, Hold};

    #[test]
    fn each_thing_in_the_way_is_named() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let target = SiteLabel::Secondary;
        let state = State::initial(PlanName::new("p"));
        let said = |state: &State, verdict| -> Vec<String> {
            let all = blocks(state, target, verdict, at(10));
            all.iter().map(ToString::to_string).collect()
        };
        assert!(said(&state, Verdict::Healthy).is_empty());
        assert_eq!(
            said(&state, Verdict::Suspect),
            ["blocked: the verdict on the secondary site is Suspect"]
        );
        let mut cooling = state.clone();
        cooling.cool_down_until = Some(at(11));
        assert_eq!(
            said(&cooling, Verdict::Healthy),
            ["blocked: cool-down until 1970-01-01T00:00:11Z"]
        );
        cooling.cool_down_until = Some(at(10));
        assert!(said(&cooling, Verdict::Healthy).is_empty(), "it is over");
        let mut all = state;
        let run = RunId::new("r");
        all.unsettled = Some(run.clone());
        assert_eq!(
            said(&all, Verdict::Healthy),
            ["blocked: nobody has vouched for the active site after run r"]
        );
        all.take_lock(&run, &RunToken::new("t"), Mode::Failover, at(1))
            .unwrap();
        all.hold = Some(Hold {
            who: "w".into(),
            why: "y".into(),
            since: at(1),
        });
        all.fences.insert(target, Fence::raised(run, at(1)));
        assert_eq!(
            said(&all, Verdict::RegionDown),
            [
                "blocked: hold by w (y)",
                "blocked: run r is under way",
                "blocked: a fence stands on the secondary site",
                "blocked: the verdict on the secondary site is RegionDown"
            ]
        );
    }
}
