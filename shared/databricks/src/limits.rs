//! Rate limits: what is documented, as a table, and the limiter that keeps to a share of it.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::{Instant, sleep, sleep_until};

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
    Token,
}

/// The rate for what has no published number, in requests a minute.
const UNPUBLISHED: u64 = 10 * 60;

/// Requests a minute for each workspace: the platform's page "Resource limits" of 2026-07-28
/// (docs.databricks.com/aws/en/resources/limits), in requests a second there except for SCIM.
const DOCUMENTED: [(Class, u64); 21] = [
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
    (Class::Token, UNPUBLISHED),
];

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
    pub(crate) fn new(share: RateShare) -> Self {
        Self {
            classes: DOCUMENTED
                .iter()
                .map(|(class, rate)| (*class, Limiter::new(interval(*rate, share))))
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

    /// Lets nothing of this class through for a while: the platform said that it is too much.
    pub(crate) fn pause(&self, class: Class, time: Duration) {
        if let Some(limiter) = self.get(class) {
            limiter.pause(time);
        }
    }
}

/// Lets requests through one by one, evenly: a burst of one, so that no second exceeds the rate.
struct Limiter {
    rate: DefaultDirectRateLimiter,
    clock: DefaultClock,
    paused_until: Mutex<Option<Instant>>,
    /// Held by the one who waits first: the others queue in order instead of racing when time comes.
    turn: tokio::sync::Mutex<()>,
}

impl Limiter {
    fn new(interval: Duration) -> Self {
        let quota = Quota::with_period(interval)
            .unwrap_or_else(|| Quota::per_second(std::num::NonZeroU32::MIN));
        Self {
            rate: RateLimiter::direct(quota),
            clock: DefaultClock::default(),
            paused_until: Mutex::new(None),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    fn paused_until(&self) -> Option<Instant> {
        *self
            .paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn acquire(&self) {
        let _turn = self.turn.lock().await;
        loop {
            match self.paused_until() {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => match self.rate.check() {
                    Ok(()) => return,
                    Err(early) => sleep(early.wait_time_from(self.clock.now())).await,
                },
            }
        }
    }

    fn pause(&self, time: Duration) {
        let Some(until) = Instant::now().checked_add(time) else {
            return;
        };
        let mut paused = self
            .paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if paused.is_none_or(|earlier| earlier < until) {
            *paused = Some(until);
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
        let limits = Limits::new(RateShare::new(1).unwrap());
        assert!(limits.acquire(Class::JobsUpdate).now_or_never().is_some());
        assert!(limits.acquire(Class::JobsUpdate).now_or_never().is_none());
        assert!(limits.acquire(Class::JobsGet).now_or_never().is_some());
    }

    #[tokio::test]
    async fn pause_stops_its_class_only() {
        let limits = Limits::new(RateShare::RUN);
        limits.pause(Class::RunsCancel, Duration::from_secs(3600));
        limits.pause(Class::RunsCancel, Duration::from_secs(1));
        let until = limits
            .get(Class::RunsCancel)
            .unwrap()
            .paused_until()
            .unwrap();
        assert!(
            until > Instant::now() + Duration::from_secs(3000),
            "a shorter pause must not end a longer one"
        );
        assert!(limits.acquire(Class::RunsCancel).now_or_never().is_none());
        assert!(limits.acquire(Class::RunsList).now_or_never().is_some());
    }
}
