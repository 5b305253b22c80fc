//! The places in a job's settings from which runs start by themselves.

use serde_json::Value;

use crate::error::ApiError;
use crate::json::{self, Map};
use crate::quartz::Quartz;

/// What makes a place fire.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Cron(Box<Quartz>),
    Periodic(i64),
    Continuous,
    FileArrival(String),
    TableUpdate(Vec<String>),
    /// A kind which never fires here: a model trigger, an unreadable expression, a future kind.
    Silent(Option<String>),
}

/// One place: `schedule`, `trigger`, `continuous` or an element of `triggers`.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) label: String,
    pub(crate) live: bool,
    pub(crate) kind: Kind,
    /// The JSON it was read from: a place left as it was keeps its rhythm.
    pub(crate) raw: Value,
}

impl Place {
    pub(crate) fn cause(&self) -> &'static str {
        match self.kind {
            Kind::Cron(_) => "schedule",
            Kind::Periodic(_) => "periodic",
            Kind::Continuous => "continuous",
            Kind::FileArrival(_) => "file_arrival",
            Kind::TableUpdate(_) => "table_update",
            Kind::Silent(_) => "other",
        }
    }

    /// The run's `trigger` in the API, which calls a cron schedule periodic too.
    pub(crate) fn trigger(&self) -> &'static str {
        match self.kind {
            Kind::Cron(_) | Kind::Periodic(_) => "PERIODIC",
            Kind::Continuous => "CONTINUOUS",
            Kind::FileArrival(_) => "FILE_ARRIVAL",
            Kind::TableUpdate(_) => "TABLE",
            Kind::Silent(_) => "ONE_TIME",
        }
    }
}

/// All places of a job's settings.
pub(crate) fn places(settings: &Map) -> Vec<Place> {
    let mut found = Vec::new();
    if let Some(raw) = json::object(settings, "schedule") {
        found.push(place("schedule", raw, cron(raw)));
    }
    if let Some(raw) = json::object(settings, "trigger") {
        found.push(place("trigger", raw, trigger(raw)));
    }
    if let Some(raw) = json::object(settings, "continuous") {
        found.push(place("continuous", raw, Kind::Continuous));
    }
    for (index, raw) in json::array(settings, "triggers").iter().enumerate() {
        if let Some(raw) = raw.as_object() {
            let kind = if let Some(schedule) = json::object(raw, "schedule") {
                cron(schedule)
            } else if raw.contains_key("continuous") {
                Kind::Continuous
            } else {
                trigger(raw)
            };
            found.push(place(&format!("triggers[{index}]"), raw, kind));
        }
    }
    found
}

fn place(label: &str, raw: &Map, kind: Kind) -> Place {
    let live = json::text(raw, "pause_status") != Some("PAUSED");
    Place {
        label: label.to_owned(),
        live,
        kind,
        raw: Value::Object(raw.clone()),
    }
}

fn cron(raw: &Map) -> Kind {
    let expression = json::text(raw, "quartz_cron_expression").unwrap_or_default();
    let zone = json::text(raw, "timezone_id").unwrap_or_default();
    match Quartz::parse(expression, zone) {
        Ok(quartz) => Kind::Cron(Box::new(quartz)),
        Err(error) => Kind::Silent(Some(format!("{expression}: {error}"))),
    }
}

fn trigger(raw: &Map) -> Kind {
    if let Some(periodic) = json::object(raw, "periodic") {
        let unit = match json::text(periodic, "unit") {
            Some("MINUTES") => 60_000,
            Some("HOURS") => 3_600_000,
            Some("DAYS") => 86_400_000,
            Some("WEEKS") => 604_800_000,
            other => return Kind::Silent(Some(format!("periodic unit {other:?}"))),
        };
        let count = json::int(periodic, "interval").filter(|n| *n > 0);
        count.map_or_else(
            || Kind::Silent(Some("periodic interval".to_owned())),
            |n| Kind::Periodic(n.saturating_mul(unit)),
        )
    } else if let Some(arrival) = json::object(raw, "file_arrival") {
        Kind::FileArrival(json::text(arrival, "url").unwrap_or_default().to_owned())
    } else if let Some(update) = json::object(raw, "table_update") {
        let names = json::array(update, "table_names").iter();
        Kind::TableUpdate(names.filter_map(Value::as_str).map(str::to_owned).collect())
    } else {
        Kind::Silent(None)
    }
}

/// Refuses settings whose places lack a field the API requires.
pub(crate) fn check_places(settings: &Map) -> Result<(), ApiError> {
    let single = ["schedule", "trigger", "continuous"];
    if settings.contains_key("triggers") && single.iter().any(|key| settings.contains_key(*key)) {
        return Err(ApiError::invalid(
            "triggers cannot be set together with schedule, trigger or continuous.",
        ));
    }
    for key in single {
        if let Some(value) = settings.get(key) {
            let raw = value
                .as_object()
                .ok_or_else(|| ApiError::invalid(format!("{key} must be an object.")))?;
            check_pause(key, raw)?;
            match key {
                "schedule" => check_cron(key, raw)?,
                "trigger" => check_trigger(key, raw)?,
                _ => {}
            }
        }
    }
    for (index, value) in json::array(settings, "triggers").iter().enumerate() {
        let name = format!("triggers[{index}]");
        let raw = value
            .as_object()
            .ok_or_else(|| ApiError::invalid(format!("{name} must be an object.")))?;
        check_pause(&name, raw)?;
        if let Some(schedule) = json::object(raw, "schedule") {
            check_cron(&name, schedule)?;
        } else if !raw.contains_key("continuous") {
            check_trigger(&name, raw)?;
        }
    }
    match settings.get("max_concurrent_runs").map(Value::as_i64) {
        Some(None) => Err(ApiError::invalid("max_concurrent_runs must be an integer.")),
        Some(Some(count)) if !(0..=1000).contains(&count) => Err(ApiError::invalid(format!(
            "max_concurrent_runs must be between 0 and 1000, got {count}."
        ))),
        _ => Ok(()),
    }
}

fn check_pause(name: &str, raw: &Map) -> Result<(), ApiError> {
    match raw.get("pause_status").map(Value::as_str) {
        None | Some(Some("PAUSED" | "UNPAUSED")) => Ok(()),
        _ => Err(ApiError::invalid(format!(
            "{name}.pause_status must be PAUSED or UNPAUSED."
        ))),
    }
}

fn require(name: &str, raw: &Map, fields: &[&str]) -> Result<(), ApiError> {
    match fields
        .iter()
        .find(|field| raw.get(**field).is_none_or(Value::is_null))
    {
        Some(field) => Err(ApiError::invalid(format!(
            "Missing required field: {name}.{field}"
        ))),
        None => Ok(()),
    }
}

fn check_cron(name: &str, raw: &Map) -> Result<(), ApiError> {
    require(name, raw, &["quartz_cron_expression", "timezone_id"])
}

fn check_trigger(name: &str, raw: &Map) -> Result<(), ApiError> {
    let kinds: Vec<(&String, &Value)> = raw
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "pause_status" | "sql_condition"))
        .collect();
    let [(kind, value)] = kinds.as_slice() else {
        return Err(ApiError::invalid(format!(
            "{name} must have exactly one kind of trigger."
        )));
    };
    let inner = value
        .as_object()
        .ok_or_else(|| ApiError::invalid(format!("{name}.{kind} must be an object.")))?;
    let fields: &[&str] = match kind.as_str() {
        "file_arrival" => &["url"],
        "periodic" => &["interval", "unit"],
        "table_update" => &["table_names"],
        "model" => &["condition"],
        _ => &[],
    };
    require(&format!("{name}.{kind}"), inner, fields)
}
