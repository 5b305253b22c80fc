//! Jobs: which of their places are live, and when those fire.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::json;

use super::places::{Kind, Place, places};
use super::runs::StartRun;
use super::{Due, World};
use crate::json::{self, Map};

/// A job with what the platform remembers about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Job {
    /// The job as jobs/get would show it with everything expanded.
    pub(crate) raw: Map,
    pub(crate) places: Vec<Place>,
    pub(crate) turn: u64,
    /// Since when each live periodic place, by its label, has had its rhythm.
    rhythm: BTreeMap<String, i64>,
    /// Sequence numbers of all its runs, oldest first.
    pub(crate) runs: Vec<u64>,
    /// Runs which take one of the job's concurrent places.
    pub(crate) active: BTreeSet<i64>,
    pub(crate) queued: VecDeque<i64>,
    pub(crate) run_count: i64,
}

impl Job {
    pub(crate) fn new(raw: Map) -> Self {
        Self {
            raw,
            ..Self::default()
        }
    }

    pub(crate) fn settings(&self) -> Option<&Map> {
        json::object(&self.raw, "settings")
    }

    pub(crate) fn settings_mut(&mut self) -> Option<&mut Map> {
        self.raw
            .get_mut("settings")
            .and_then(serde_json::Value::as_object_mut)
    }

    pub(crate) fn name(&self) -> &str {
        self.settings()
            .and_then(|s| json::text(s, "name"))
            .unwrap_or_default()
    }

    pub(crate) fn limit(&self) -> usize {
        let limit = self
            .settings()
            .and_then(|s| json::int(s, "max_concurrent_runs"))
            .unwrap_or(1);
        usize::try_from(limit).unwrap_or_default()
    }

    pub(crate) fn queues(&self) -> bool {
        let queue = self.settings().and_then(|s| json::object(s, "queue"));
        queue
            .and_then(|q| json::flag(q, "enabled"))
            .unwrap_or_default()
    }

    fn continuous(&self) -> Option<&Place> {
        self.places
            .iter()
            .find(|p| p.live && matches!(p.kind, Kind::Continuous))
    }
}

impl World {
    /// Reads a job's places anew after its settings changed, and has the live ones fire.
    pub(crate) fn job_changed(&mut self, id: i64) {
        self.read_places(id, false);
    }

    /// `seasoned` is for jobs which have existed for long: their rhythms are spread, as they would
    /// be in a real workspace, instead of all beginning now.
    pub(super) fn read_places(&mut self, id: i64, seasoned: bool) {
        let now = self.now;
        let turn = self.next();
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let fresh = job.settings().map(places).unwrap_or_default();
        let name = job.name().to_owned();
        let old = std::mem::replace(&mut job.places, fresh.clone());
        job.turn = turn;
        let mut rhythm = BTreeMap::new();
        for place in &fresh {
            let same = old
                .iter()
                .any(|o| o.label == place.label && o.raw == place.raw);
            let since = job
                .rhythm
                .get(&place.label)
                .filter(|_| same)
                .copied()
                .unwrap_or_else(|| match place.kind {
                    Kind::Periodic(every) if seasoned => {
                        let digest = json::hash(&[&id.to_string(), &place.label]) >> 1;
                        now - i64::try_from(digest).unwrap_or_default() % every
                    }
                    _ => now,
                });
            rhythm.insert(place.label.clone(), since);
        }
        job.rhythm = rhythm;
        for (index, place) in fresh.iter().enumerate() {
            let was = old.iter().any(|o| o.label == place.label && o.live);
            if was != place.live {
                self.log_live(id, &name, &place.label, place.live);
            }
            if let Kind::Silent(Some(reason)) = &place.kind
                && !old
                    .iter()
                    .any(|o| o.label == place.label && o.raw == place.raw)
            {
                let fields =
                    json!({"job_id": id, "job_name": name, "place": place.label, "reason": reason});
                self.log("schedule_unreadable", fields);
            }
            self.schedule_place(id, turn, index);
        }
        for place in old
            .iter()
            .filter(|o| o.live && fresh.iter().all(|p| p.label != o.label))
        {
            self.log_live(id, &name, &place.label, false);
        }
        self.dequeue(id);
        self.keep_continuous(id);
    }

    /// Deletes a job: its runs are cancelled, its places are gone.
    pub(crate) fn delete_job(&mut self, id: i64) {
        self.cancel_all(Some(id), false);
        if let Some(job) = self.jobs.remove(&id) {
            for place in job.places.iter().filter(|place| place.live) {
                self.log_live(id, job.name(), &place.label, false);
            }
        }
    }

    fn log_live(&mut self, id: i64, name: &str, place: &str, live: bool) {
        self.log(
            "job_live",
            json!({"job_id": id, "job_name": name, "place": place, "live": live}),
        );
    }

    /// Sets the next fire time of a place, if it has one.
    pub(super) fn schedule_place(&mut self, id: i64, turn: u64, index: usize) {
        let now = self.now;
        let Some(job) = self.jobs.get(&id).filter(|job| job.turn == turn) else {
            return;
        };
        let Some(place) = job.places.get(index).filter(|place| place.live) else {
            return;
        };
        let next = match &place.kind {
            Kind::Cron(quartz) => quartz.next(now),
            Kind::Periodic(every) => {
                let since = job.rhythm.get(&place.label).copied().unwrap_or(now);
                Some(since + ((now - since).div_euclid(*every) + 1) * every)
            }
            _ => None,
        };
        if let Some(at) = next {
            self.at(
                at,
                Due::Fire {
                    job: id,
                    turn,
                    place: index,
                },
            );
        }
    }

    pub(super) fn fire_due(&mut self, id: i64, turn: u64, index: usize) {
        let Some(place) = self.live_place(id, turn, index) else {
            return;
        };
        self.fire(id, &place);
        self.schedule_place(id, turn, index);
    }

    fn live_place(&self, id: i64, turn: u64, index: usize) -> Option<Place> {
        let job = self.jobs.get(&id).filter(|job| job.turn == turn)?;
        job.places.get(index).filter(|place| place.live).cloned()
    }

    fn fire(&mut self, id: i64, place: &Place) -> Option<i64> {
        let start = StartRun {
            cause: place.cause(),
            trigger: place.trigger(),
            ..StartRun::default()
        };
        self.start_job_run(id, start)
    }

    /// Starts a run of a continuous job which is live and has none.
    pub(crate) fn keep_continuous(&mut self, id: i64) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        if job.limit() == 0 || !job.active.is_empty() || !job.queued.is_empty() {
            return;
        }
        if let Some(place) = job.continuous().cloned() {
            self.fire(id, &place);
        }
    }

    /// Files arrive: fires every live file-arrival place of this job, or below whose location the URL is.
    pub(crate) fn files_arrive(&mut self, job: Option<i64>, url: Option<&str>) -> Vec<i64> {
        self.fire_matching(job, |kind| match (kind, url) {
            (Kind::FileArrival(location), Some(url)) => url.starts_with(location.as_str()),
            (Kind::FileArrival(_), None) => true,
            _ => false,
        })
    }

    /// A table was written: fires every live table-update place of this job, or which names the table.
    pub(crate) fn table_updated(&mut self, job: Option<i64>, table: Option<&str>) -> Vec<i64> {
        self.fire_matching(job, |kind| match (kind, table) {
            (Kind::TableUpdate(names), Some(table)) => names.iter().any(|name| name == table),
            (Kind::TableUpdate(_), None) => true,
            _ => false,
        })
    }

    fn fire_matching(&mut self, job: Option<i64>, matches: impl Fn(&Kind) -> bool) -> Vec<i64> {
        let mut found = Vec::new();
        if self.stands_still() {
            return Vec::new();
        }
        for (id, candidate) in &self.jobs {
            if job.is_none_or(|job| job == *id) {
                let live = candidate
                    .places
                    .iter()
                    .filter(|p| p.live && matches(&p.kind));
                found.extend(live.map(|place| (*id, place.clone())));
            }
        }
        found
            .into_iter()
            .filter_map(|(id, place)| self.fire(id, &place))
            .collect()
    }
}
