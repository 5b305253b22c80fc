//! The clock of the local cloud: fires the deployed schedules, with minutes as long as the test wants them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

use crate::CloudError;
use crate::deployment::Schedule;
use crate::harness::locked;
use crate::process::Control;
use crate::schedule::Expression;

/// AWS starts a schedule again while its last invocation still runs; two at once are enough to show what that does.
const AT_ONCE: usize = 2;

/// One firing of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiredSchedule {
    /// Name of the schedule.
    pub schedule: String,
    /// Minute of the clock.
    pub minute: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// False when two invocations were still running, so that this one was left out.
    pub started: bool,
    /// Why the target could not be started.
    pub failure: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Clock {
    control: Control,
    region: String,
    paused: AtomicBool,
    fired: Mutex<Vec<FiredSchedule>>,
    running: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Clock {
    pub(crate) fn new(control: Control, region: String) -> Arc<Self> {
        Arc::new(Self {
            control,
            region,
            paused: AtomicBool::new(false),
            fired: Mutex::default(),
            running: Mutex::default(),
        })
    }

    pub(crate) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    pub(crate) fn fired(&self) -> Vec<FiredSchedule> {
        locked(&self.fired).clone()
    }

    /// Checks that every deployed schedule can be played, then plays them until the task is aborted.
    pub(crate) async fn start(
        self: &Arc<Self>,
        minute: Duration,
    ) -> Result<tokio::task::JoinHandle<()>, CloudError> {
        for schedule in self.schedules().await? {
            Expression::parse(&schedule.expression)?;
        }
        let clock = Arc::clone(self);
        Ok(tokio::spawn(async move { clock.run(minute).await }))
    }

    async fn schedules(&self) -> Result<Vec<Schedule>, CloudError> {
        self.control
            .call("schedules", &json!({ "region": self.region }))
            .await
    }

    async fn run(self: Arc<Self>, minute: Duration) {
        let begin = Timestamp::now();
        let mut ticks = tokio::time::interval(minute);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut elapsed = 0_u64;
        loop {
            ticks.tick().await;
            if self.paused.load(Ordering::Relaxed) {
                continue;
            }
            match self.schedules().await {
                Ok(schedules) => {
                    let played =
                        SignedDuration::from_mins(i64::try_from(elapsed).unwrap_or(i64::MAX));
                    let now = begin.checked_add(played).unwrap_or(begin);
                    schedules
                        .into_iter()
                        .filter(|each| due(each, elapsed, now))
                        .for_each(|each| self.fire(each, elapsed));
                }
                Err(error) => tracing::warn!(%error, "the schedules could not be read"),
            }
            elapsed += 1;
        }
    }

    fn fire(self: &Arc<Self>, schedule: Schedule, minute: u64) {
        let slots = {
            let mut running = locked(&self.running);
            let slots = running
                .entry(schedule.name.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
            Arc::clone(slots)
        };
        let slot = slots.try_acquire_owned().ok();
        let mut fired = FiredSchedule {
            schedule: schedule.name.clone(),
            minute,
            at_ms: Timestamp::now().as_millisecond(),
            started: slot.is_some(),
            failure: None,
        };
        let Some(slot) = slot else {
            locked(&self.fired).push(fired);
            return;
        };
        let clock = Arc::clone(self);
        tokio::spawn(async move {
            let index = {
                let mut all = locked(&clock.fired);
                all.push(fired.clone());
                all.len() - 1
            };
            if let Err(error) = clock.call_target(&schedule).await {
                tracing::warn!(%error, schedule = schedule.name, "the target of a schedule could not be started");
                fired.failure = Some(error.to_string());
                if let Some(entry) = locked(&clock.fired).get_mut(index) {
                    *entry = fired;
                }
            }
            drop(slot);
        });
    }

    async fn call_target(&self, schedule: &Schedule) -> Result<(), CloudError> {
        let input = input(schedule);
        let target = &schedule.target_arn;
        let service = target.split(':').nth(2).unwrap_or_default();
        match service {
            "lambda" => {
                let arguments = json!({ "function": target, "payload": input, "role": schedule.role, "region": self.region });
                self.control
                    .call::<Value>("invoke", &arguments)
                    .await
                    .map(drop)
            }
            "states" => {
                let arguments = json!({ "state_machine": target, "input": input, "role": schedule.role, "region": self.region });
                self.control
                    .call::<Value>("start_execution", &arguments)
                    .await
                    .map(drop)
            }
            other => Err(CloudError::Command {
                command: "fire".to_owned(),
                reason: format!("a schedule cannot start a target of service {other} here"),
            }),
        }
    }
}

fn due(schedule: &Schedule, elapsed: u64, now: Timestamp) -> bool {
    let zone = TimeZone::get(&schedule.timezone).unwrap_or(TimeZone::UTC);
    let expression = Expression::parse(&schedule.expression);
    schedule.enabled
        && expression.is_ok_and(|expression| expression.fires(elapsed, zone.to_datetime(now)))
}

/// The deployed input, with the context attributes of EventBridge Scheduler filled in.
fn input(schedule: &Schedule) -> Value {
    let now = Timestamp::now();
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let Some(text) = &schedule.input else {
        // What the two kinds of schedules send without an input.
        return if schedule.arn.contains(":rule/") {
            json!({
                "version": "0", "id": format!("tick-{}", now.as_nanosecond()), "detail-type": "Scheduled Event",
                "source": "aws.events", "time": time, "resources": [schedule.arn], "detail": {},
            })
        } else {
            json!({})
        };
    };
    let text = text
        .replace("<aws.scheduler.schedule-arn>", &schedule.arn)
        .replace("<aws.scheduler.scheduled-time>", &time)
        .replace(
            "<aws.scheduler.execution-id>",
            &format!("tick-{}", now.as_nanosecond()),
        )
        .replace("<aws.scheduler.attempt-number>", "1");
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}
