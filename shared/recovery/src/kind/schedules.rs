//! What fires on a schedule of its own and is no job: dashboard schedules and alerts. They wake warehouses and send mail.

use jiff::Timestamp;
use serde_json::Value;

use super::table::text;
use super::{Object, is_unpaused, is_unpaused_object};
use crate::act::Act;
use crate::activation::Next;
use crate::inventory::Resource;
use crate::quartz::NextFires;

/// The field in which a reading keeps the dashboard of a schedule: `{"id", "name"}`. Ours, not the platform's.
pub const PARENT: &str = "dr_parent";

fn parent<'a>(raw: &'a Object, field: &str) -> Option<&'a str> {
    raw.get(PARENT)?.get(field)?.as_str()
}

/// A schedule is known by its dashboard and itself.
pub(super) fn dashboard_schedule_id(raw: &Object) -> Option<String> {
    let schedule = text(raw, "schedule_id")?;
    Some(format!("{}/{schedule}", parent(raw, "id")?))
}

/// The dashboard's name with the schedule's own, which is optional: else its times tell it apart.
pub(super) fn dashboard_schedule_name(raw: &Object) -> Option<String> {
    let cron = |field: &str| {
        let cron = raw.get("cron_schedule")?;
        cron.get(field)?.as_str()
    };
    let own = text(raw, "display_name").unwrap_or_else(|| {
        format!(
            "{} {}",
            cron("quartz_cron_expression").unwrap_or_default(),
            cron("timezone_id").unwrap_or_default()
        )
    });
    Some(format!("{}/{own}", parent(raw, "name").unwrap_or_default()))
}

pub(super) fn dashboard_fires(raw: &Object, next: &mut NextFires) -> Timestamp {
    raw.get("cron_schedule")
        .and_then(|cron| next.of(cron, "quartz_cron_expression"))
        .unwrap_or_else(|| next.now())
}

/// The request that sets the schedule: all of it but what is ours.
fn put(schedule: &Resource, mut body: Object) -> Option<Act> {
    body.remove(PARENT);
    Some(Act::PutDashboardSchedule {
        dashboard: parent(&schedule.raw, "id")?.to_owned(),
        schedule: text(&schedule.raw, "schedule_id")?,
        body,
    })
}

pub(super) fn pause_dashboard(schedule: &Resource) -> Option<Act> {
    let mut body = schedule.raw.clone();
    body.insert("pause_status".to_owned(), "PAUSED".into());
    put(schedule, body)
}

/// Times and pause status of the baseline; the warehouse, the ids and the etag are the site's own.
pub(super) fn restore_dashboard(original: &Resource, twin: &Resource) -> Next {
    let mut wanted = twin.raw.clone();
    for field in ["cron_schedule", "pause_status"] {
        match original.raw.get(field) {
            Some(value) => wanted.insert(field.to_owned(), value.clone()),
            None => wanted.remove(field),
        };
    }
    let same = is_unpaused_object(&wanted) == is_unpaused_object(&twin.raw)
        && wanted.get("cron_schedule") == twin.raw.get("cron_schedule");
    if same {
        return Next::AsWanted;
    }
    put(twin, wanted).map_or_else(
        || Next::List("its dashboard is not known".to_owned()),
        Next::Act,
    )
}

fn schedule(raw: &Object) -> Option<&Value> {
    raw.get("schedule").filter(|s| !s.is_null())
}

/// An alert without a schedule is evaluated by nobody; one that was deleted neither.
pub(super) fn alert_is_live(raw: &Object) -> bool {
    let deleted = raw.get("lifecycle_state").and_then(Value::as_str) == Some("DELETED");
    !deleted && schedule(raw).is_some_and(is_unpaused)
}

pub(super) fn broken_alert(raw: &Object) -> Option<String> {
    let state = raw.get("lifecycle_state").and_then(Value::as_str);
    state.filter(|state| *state == "DELETED").map(str::to_owned)
}

pub(super) fn alert_fires(raw: &Object, next: &mut NextFires) -> Timestamp {
    schedule(raw)
        .and_then(|s| next.of(s, "quartz_cron_schedule"))
        .unwrap_or_else(|| next.now())
}

pub(super) fn pause_alert(alert: &Resource) -> Option<Act> {
    let mut schedule = schedule(&alert.raw)?.as_object()?.clone();
    schedule.insert("pause_status".to_owned(), "PAUSED".into());
    Some(Act::PatchAlert {
        id: alert.id.clone(),
        schedule,
    })
}

pub(super) fn restore_alert(original: &Resource, twin: &Resource) -> Next {
    match (schedule(&original.raw), schedule(&twin.raw)) {
        (None, None) => Next::AsWanted,
        // The baseline's alert is evaluated by nobody.
        (None, Some(now)) if !is_unpaused(now) => Next::AsWanted,
        (None, Some(_)) => pause_alert(twin).map_or(Next::NotOurs, Next::Act),
        (Some(wanted), Some(now)) if super::job::same(wanted, now) => Next::AsWanted,
        (Some(wanted), _) => match wanted.as_object() {
            Some(schedule) => Next::Act(Act::PatchAlert {
                id: twin.id.clone(),
                schedule: schedule.clone(),
            }),
            None => Next::List("its schedule in the baseline is no object".to_owned()),
        },
    }
}
