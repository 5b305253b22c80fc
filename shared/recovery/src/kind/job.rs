//! Jobs: the places that start runs by themselves, how they are paused and restored.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Object, is_unpaused, paused};
use crate::act::Act;
use crate::activation::Next;
use crate::inventory::Resource;
use crate::quartz::NextFires;

/// A place of a job's settings that starts runs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// `settings.schedule`.
    Schedule,
    /// `settings.trigger`.
    Trigger,
    /// `settings.continuous`.
    Continuous,
    /// `settings.triggers` (preview): a list, replaced as a whole.
    Triggers,
}

impl Place {
    /// All places.
    pub const ALL: [Self; 4] = [
        Self::Schedule,
        Self::Trigger,
        Self::Continuous,
        Self::Triggers,
    ];

    /// The field of the job's settings.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Trigger => "trigger",
            Self::Continuous => "continuous",
            Self::Triggers => "triggers",
        }
    }
}

fn setting<'a>(job: &'a Object, field: &str) -> Option<&'a Value> {
    job.get("settings")?.get(field).filter(|v| !v.is_null())
}

pub(super) fn id(raw: &Object) -> Option<String> {
    match raw.get("job_id")? {
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(super) fn name(raw: &Object) -> Option<String> {
    setting(raw, "name")?.as_str().map(str::to_owned)
}

pub(super) fn tag<'a>(raw: &'a Object, tag: &str) -> Option<&'a str> {
    setting(raw, "tags")?.get(tag)?.as_str()
}

/// The job without tasks, clusters and all else that says what it does.
pub(super) fn for_posture(raw: &Object) -> Object {
    const KEPT: [&str; 3] = ["name", "tags", "max_concurrent_runs"];
    let places = Place::ALL.map(Place::field);
    let settings = raw.get("settings").and_then(Value::as_object);
    let kept = settings
        .into_iter()
        .flatten()
        .filter(|(field, _)| KEPT.contains(&field.as_str()) || places.contains(&field.as_str()));
    let kept: Object = kept.map(|(k, v)| (k.clone(), v.clone())).collect();
    let mut job = Object::new();
    job.extend(
        raw.get("job_id")
            .map(|id| ("job_id".to_owned(), id.clone())),
    );
    job.insert("settings".to_owned(), Value::Object(kept));
    job
}

pub(super) fn has_triggers(raw: &Object) -> bool {
    setting(raw, Place::Triggers.field()).is_some()
}

/// The places of a job that would start runs.
#[must_use]
pub fn live_places(job: &Object) -> Vec<Place> {
    Place::ALL
        .into_iter()
        .filter(|place| match setting(job, place.field()) {
            None => false,
            Some(Value::Array(list)) => list.iter().any(is_unpaused),
            Some(setting) => is_unpaused(setting),
        })
        .collect()
}

/// When a live job would next start a run. Continuous jobs, triggers by event and expressions that cannot be read count
/// as firing now; a periodic trigger has no known phase, so it counts as now too.
pub(super) fn fires(job: &Object, next: &mut NextFires) -> Timestamp {
    if live_places(job) != [Place::Schedule] {
        return next.now();
    }
    setting(job, Place::Schedule.field())
        .and_then(|schedule| next.of(schedule, "quartz_cron_expression"))
        .unwrap_or_else(|| next.now())
}

/// A continuous job starts its next run the moment one ends; a trigger waits for an event; a schedule for its time.
pub(super) fn danger(job: &Object) -> u8 {
    let live = live_places(job);
    if live.contains(&Place::Continuous) {
        0
    } else if live.contains(&Place::Trigger) || live.contains(&Place::Triggers) {
        1
    } else {
        2
    }
}

pub(super) fn pause(job: &Resource) -> Option<Act> {
    let settings = live_places(&job.raw)
        .into_iter()
        .filter_map(|place| Some((place, paused(setting(&job.raw, place.field())?))));
    update(job, settings)
}

/// The updates that set these places: whole top-level fields, since `jobs/update` replaces them whole. `triggers` goes
/// alone and last: the API refuses it beside the others.
fn update(job: &Resource, places: impl Iterator<Item = (Place, Value)>) -> Option<Act> {
    let mut together = Object::new();
    let mut alone = Object::new();
    for (place, value) in places {
        let fields = if place == Place::Triggers {
            &mut alone
        } else {
            &mut together
        };
        fields.insert(place.field().to_owned(), value);
    }
    let updates: Vec<Object> = [together, alone]
        .into_iter()
        .filter(|fields| !fields.is_empty())
        .collect();
    let job_id = job.id.parse().ok()?;
    (!updates.is_empty()).then_some(Act::UpdateJob { job_id, updates })
}

/// The platform's default is 1.
pub(super) fn restore_concurrency(original: &Resource, twin: &Resource) -> Next {
    const FIELD: &str = "max_concurrent_runs";
    let of = |job: &Resource| {
        setting(&job.raw, FIELD)
            .cloned()
            .unwrap_or_else(|| Value::from(1))
    };
    if of(original) == of(twin) {
        return Next::AsWanted;
    }
    match twin.id.parse() {
        Ok(job_id) => Next::Act(Act::UpdateJob {
            job_id,
            updates: vec![Object::from_iter([(FIELD.to_owned(), of(original))])],
        }),
        Err(_) => Next::List("its id is not a number".to_owned()),
    }
}

/// Every place as the baseline says, whole. What the baseline does not know must not fire.
pub(super) fn restore_places(original: &Resource, twin: &Resource) -> Next {
    let places = Place::ALL.into_iter().filter_map(|place| {
        let now = setting(&twin.raw, place.field());
        let wanted = match (setting(&original.raw, place.field()), now) {
            (Some(wanted), now) => keep_region_specific(wanted.clone(), now),
            (None, Some(now)) => paused(now),
            (None, None) => return None,
        };
        let differs = now.is_none_or(|now| !same(&wanted, now));
        differs.then_some((place, wanted))
    });
    let places: Vec<_> = places.collect();
    if places.is_empty() {
        return Next::AsWanted;
    }
    update(twin, places.into_iter()).map_or_else(
        || Next::List("its id is not a number".to_owned()),
        Next::Act,
    )
}

/// A file arrival URL names a bucket of the site's own region: the target keeps its own.
fn keep_region_specific(mut wanted: Value, now: Option<&Value>) -> Value {
    match (&mut wanted, now) {
        (Value::Array(list), Some(Value::Array(now))) if list.len() == now.len() => {
            for (item, now) in list.iter_mut().zip(now) {
                *item = keep_region_specific(item.take(), Some(now));
            }
        }
        (Value::Object(setting), Some(now)) => {
            let url = now.get("file_arrival").and_then(|f| f.get("url"));
            if let (Some(Value::Object(arrival)), Some(url)) =
                (setting.get_mut("file_arrival"), url)
            {
                arrival.insert("url".to_owned(), url.clone());
            }
        }
        _ => {}
    }
    wanted
}

/// Equal, where an absent field and the platform's empty value (unpaused, null, 0, false, empty) mean the same.
pub(super) fn same(wanted: &Value, now: &Value) -> bool {
    fn empty(key: &str, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Bool(flag) => !flag,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty() || (key == "pause_status" && text == "UNPAUSED"),
            Value::Array(list) => list.is_empty(),
            Value::Object(object) => object.is_empty(),
        }
    }
    match (wanted, now) {
        (Value::Object(a), Value::Object(b)) => {
            a.iter()
                .all(|(k, v)| b.get(k).map_or_else(|| empty(k, v), |w| same(v, w)))
                && b.iter().all(|(k, w)| a.contains_key(k) || empty(k, w))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(v, w)| same(v, w))
        }
        (a, b) => a == b,
    }
}
