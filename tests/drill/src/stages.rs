//! What a drill tells of a stage when it is done.

use recovery::run::{Mode, RunDocument, Stage};

pub(crate) fn stage_in_words(run: &RunDocument, stage: Stage) -> String {
    let (from, target) = (run.from, run.target);
    let words = match stage {
        Stage::Begin => "the run has the lock and has frozen its evidence",
        Stage::RecoveryPoints => "what would be lost is proven and frozen",
        Stage::Readiness => return format!("the {target} site holds every object of the baseline"),
        Stage::Approval => "approved",
        Stage::Rehearsal => {
            "the fence is rehearsed: every act is worked out, and the operator may do it"
        }
        Stage::Capture => return format!("the {from} site is recorded once more"),
        Stage::Fence if run.mode == Mode::Switchover => {
            return format!(
                "the {from} site is fenced and quiet; the {target} site's fence is lifted"
            );
        }
        Stage::Fence => {
            return format!(
                "the {from} site is fenced as far as it can be reached; the fence stands"
            );
        }
        Stage::Drain => return format!("all that the {from} site wrote is at the {target} site"),
        Stage::Recheck => return format!("the {target} site is still ready"),
        Stage::Sources => "the data sources answer",
        Stage::Pools => return format!("pools keep their idle instances at the {target} site"),
        Stage::Compute => return format!("clusters and warehouses run at the {target} site"),
        Stage::Validation => return format!("the {target} site has proven that it works"),
        Stage::Commit => return format!("COMMIT: the {target} site is the active site"),
        Stage::JobConcurrency => "jobs have their concurrency",
        Stage::OneTimeRuns => {
            "interrupted runs are started again where a job asks for it, the others are listed"
        }
        Stage::Schedules => "schedules, triggers and continuous jobs are as they were",
        Stage::Endpoints => "pointers and workspace URLs are switched",
        Stage::Standby => {
            return format!("the {} site stands by as it was recorded", run.standby());
        }
    };
    words.to_owned()
}
