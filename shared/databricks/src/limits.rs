//! Rate limits: what is documented, as a table, and the limiter that keeps to a share of it.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::pace::Pace;
use crate::settings::RateShare;

/// Operations that share one documented rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    JobsGet,
    JobsList,
    JobsUpdate,
    JobsRunNow,
    RunsGet,
    RunsList,
    RunsCancel,
    RunsCancelAll,
    PipelinesRead,
    PipelinesWrite,
    PermissionsRead,
    ScimRead,
    ClustersRead,
    ClustersWrite,
    PoolsRead,
    PoolsWrite,
    WarehousesRead,
    WarehousesWrite,
    StatementsRead,
    StatementsWrite,
    AppsRead,
    AppsWrite,
    DashboardsRead,
    DashboardsWrite,
    AlertsRead,
    AlertsWrite,
    ServingRead,
    VectorSearchRead,
    DatabasesRead,
    OtherRead,
    Token,
}

/// The rate for what has no published number, in requests a minute.
const UNPUBLISHED: u64 = 10 * 60;

/// Requests a minute for each workspace: the platform's page "Resource limits" of 2026-07-28
/// (docs.databricks.com/aws/en/resources/limits), in requests a second there except for SCIM.
const DOCUMENTED: [(Class, u64); 31] = [
    (Class::JobsGet, 20 * 60),
    (Class::JobsList, 20 * 60),
    (Class::JobsUpdate, 10 * 60),
    (Class::JobsRunNow, 20 * 60),
    (Class::RunsGet, 100 * 60),
    (Class::RunsList, 30 * 60),
    (Class::RunsCancel, 10 * 60),
    (Class::RunsCancelAll, 5 * 60),
    (Class::PipelinesRead, 150 * 60),
    (Class::PipelinesWrite, 50 * 60),
    (Class::PermissionsRead, 100 * 60),
    (Class::ScimRead, 255),
    (Class::ClustersRead, UNPUBLISHED),
    (Class::ClustersWrite, UNPUBLISHED),
    (Class::PoolsRead, UNPUBLISHED),
    (Class::PoolsWrite, UNPUBLISHED),
    (Class::WarehousesRead, UNPUBLISHED),
    (Class::WarehousesWrite, UNPUBLISHED),
    (Class::StatementsRead, UNPUBLISHED),
    (Class::StatementsWrite, UNPUBLISHED),
    (Class::AppsRead, UNPUBLISHED),
    (Class::AppsWrite, UNPUBLISHED),
    (Class::DashboardsRead, UNPUBLISHED),
    (Class::DashboardsWrite, UNPUBLISHED),
    (Class::AlertsRead, UNPUBLISHED),
    (Class::AlertsWrite, UNPUBLISHED),
    (Class::ServingRead, UNPUBLISHED),
    (Class::VectorSearchRead, UNPUBLISHED),
    (Class::DatabasesRead, UNPUBLISHED),
    (Class::OtherRead, UNPUBLISHED),
    (Class::Token, UNPUBLISHED),
];

/// Calls whose rate somebody wants to know without a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Documented {
    /// `jobs/get`.
    JobsGet,
    /// `jobs/update`.
    JobsUpdate,
    /// `jobs/run-now`.
    JobsRunNow,
    /// `jobs/runs/cancel`.
    RunsCancel,
    /// `jobs/runs/cancel-all`.
    RunsCancelAll,
    /// Changes of pipelines.
    PipelinesWrite,
    /// What has no published number.
    Other,
}

impl Documented {
    /// Requests a minute that a workspace takes.
    #[must_use]
    pub fn per_minute(self) -> u64 {
        let class = match self {
            Self::JobsGet => Class::JobsGet,
            Self::JobsUpdate => Class::JobsUpdate,
            Self::JobsRunNow => Class::JobsRunNow,
            Self::RunsCancel => Class::RunsCancel,
            Self::RunsCancelAll => Class::RunsCancelAll,
            Self::PipelinesWrite => Class::PipelinesWrite,
            Self::Other => Class::ClustersWrite,
        };
        DOCUMENTED
            .iter()
            .find(|(other, _)| *other == class)
            .map_or(UNPUBLISHED, |(_, rate)| *rate)
    }
}

/// The time between two requests at a share of a rate.
fn interval(per_minute: u64, share: RateShare) -> Duration {
    // 60 s / (rate × percent / 100), rounded up so that the rate is never exceeded.
    let denominator =
        NonZeroU64::new(per_minute * u64::from(share.percent())).unwrap_or(NonZeroU64::MIN);
    Duration::from_nanos(
        60_000_000_000_u64
            .saturating_mul(100)
            .div_ceil(denominator.get()),
    )
}

/// The limiters of one workspace, one for each class.
pub(crate) struct Limits {
    classes: Vec<(Class, Limiter)>,
}

impl Limits {
    pub(crate) fn new(share: RateShare, scale: f64) -> Self {
        let limiter = |rate| Limiter::new(interval(rate, share).div_f64(scale), scale);
        Self {
            classes: DOCUMENTED
                .iter()
                .map(|(class, rate)| (*class, limiter(*rate)))
                .collect(),
        }
    }

    fn get(&self, class: Class) -> Option<&Limiter> {
        self.classes
            .iter()
            .find(|(other, _)| *other == class)
            .map(|(_, limiter)| limiter)
    }

    /// Waits for this class's turn. Safe to drop while it waits.
    pub(crate) async fn acquire(&self, class: Class) {
        if let Some(limiter) = self.get(class) {
            limiter.acquire().await;
        }
    }

    /// Lets nothing of this class through for a while, and then less: the platform said that it was too much. `sent`: when the
    /// request went off.
    pub(crate) fn slow_down(&self, class: Class, sent: Instant, pause: Duration) {
        if let Some(limiter) = self.get(class) {
            limiter.pace().refused(Instant::now(), sent, pause);
        }
    }
}

/// Lets requests through one by one, evenly, so that no second exceeds the rate.
struct Limiter {
    pace: Mutex<Pace>,
    /// Held by the one who waits first: the others queue in order instead of racing when time comes.
    turn: tokio::sync::Mutex<()>,
}

impl Limiter {
    fn new(shortest: Duration, scale: f64) -> Self {
        Self {
            pace: Mutex::new(Pace::new(shortest, scale, Instant::now())),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn of one request: nothing, or when to ask again.
    fn check(&self, now: Instant) -> Result<(), Instant> {
        self.pace().turn(now)
    }

    async fn acquire(&self) {
        let _turn = self.turn.lock().await;
        while let Err(next) = self.check(Instant::now()) {
            sleep_until(next).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn intervals_keep_to_the_share() {
        assert_eq!(
            interval(600, RateShare::new(100).unwrap()),
            Duration::from_millis(100)
        );
        assert_eq!(
            interval(600, RateShare::BACKGROUND),
            Duration::from_millis(500)
        );
        // 95 % of 10 a second: 9.5 a second.
        assert_eq!(
            interval(600, RateShare::RUN),
            Duration::from_nanos(105_263_158)
        );
        for (_, rate) in DOCUMENTED {
            let per_minute = 60.0 / interval(rate, RateShare::RUN).as_secs_f64();
            assert!(per_minute <= rate as f64 * 0.95 + 1e-6);
        }
    }

    #[test]
    fn every_class_is_in_the_table_once() {
        for (class, _) in DOCUMENTED {
            assert_eq!(
                DOCUMENTED
                    .iter()
                    .filter(|(other, _)| *other == class)
                    .count(),
                1
            );
        }
        assert_eq!(
            DOCUMENTED.len(),
            Class::Token as usize + 1,
            "a class has no rate"
        );
    }

    #[tokio::test]
    async fn second_request_of_a_class_waits_and_other_classes_do_not() {
        let limits = Limits::new(RateShare::new(1).unwrap(), 1.0);
        assert!(limits.acquire(Class::JobsUpdate).now_or_never().is_some());
        assert!(limits.acquire(Class::JobsUpdate).now_or_never().is_none());
        assert!(limits.acquire(Class::JobsGet).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_refusal_stops_its_class_only_and_a_shorter_pause_does_not_end_a_longer_one() {
        let limits = Limits::new(RateShare::RUN, 1.0);
        let now = Instant::now();
        limits.slow_down(Class::RunsCancel, now, Duration::from_secs(3600));
        limits.slow_down(Class::RunsCancel, now, Duration::from_secs(1));
        let limiter = limits.get(Class::RunsCancel).unwrap();
        assert!(
            limiter
                .check(now)
                .is_err_and(|then| then > now + Duration::from_secs(3000))
        );
        assert!(limits.acquire(Class::RunsCancel).now_or_never().is_none());
        assert!(limits.acquire(Class::RunsList).now_or_never().is_some());
    }
}
