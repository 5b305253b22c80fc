//! The documented rates as a rehearsal takes them.

use databricks::{Documented, RateShare};
use recovery::act::Lane;
use recovery::rehearsal::Rates;

/// The rates that a run keeps to.
#[must_use]
pub fn documented_rates() -> Rates {
    let of = |lane| {
        match lane {
            Lane::Jobs => Documented::JobsUpdate,
            Lane::RunNow => Documented::JobsRunNow,
            Lane::QueuedRuns => Documented::RunsCancelAll,
            Lane::Runs => Documented::RunsCancel,
            Lane::Pipelines => Documented::PipelinesWrite,
            Lane::Apps
            | Lane::Dashboards
            | Lane::Alerts
            | Lane::Warehouses
            | Lane::Clusters
            | Lane::Pools => Documented::Other,
        }
        .per_minute()
    };
    Rates::new(
        of,
        Documented::JobsGet.per_minute(),
        RateShare::RUN.percent(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_paused_at_nine_and_a_half_a_second() {
        let rates = documented_rates();
        assert!((rates.per_second(Lane::Jobs) - 9.5).abs() < 1e-9);
        assert!((rates.per_second(Lane::RunNow) - 19.0).abs() < 1e-9);
    }
}
