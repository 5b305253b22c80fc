//! Reading what a site holds, as the table of kinds says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use databricks::{Error, JobId, Object, PipelineId, RunsFilter, Workspace};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use recovery::inventory::{ActiveRun, Inventory, Resource, Subject};
use recovery::kind::{Kind, List, ReadBack, UNFENCEABLE, Unfenceable};
use recovery::site::SiteLabel;
use serde_json::Value;

use crate::details::{self, Details};
use crate::lists::{AT_ONCE, list};

/// With it the list of jobs shows tasks and clusters, up to 100 of each.
const EXPANDED: &[(&str, &str)] = &[("expand_tasks", "true")];

/// How much of each object is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Whole objects, as a baseline or a restore needs them.
    Whole,
    /// Details only of what the lists show as live: a fence touches nothing else.
    Live,
}

/// What is asked for beyond the lists.
#[derive(Clone, Copy)]
enum Detail<'a> {
    Of(Depth),
    /// Whole objects with all their parts; what is known already is not asked for again.
    Record(Option<&'a Inventory>, Option<&'a Details>),
}

impl<'a> Detail<'a> {
    /// What earlier calls of this reading were told.
    const fn earlier(self) -> Option<&'a Details> {
        match self {
            Self::Record(_, details) => details,
            Self::Of(_) => None,
        }
    }
}

/// Reads the objects of these kinds and, with jobs, the active runs. Whatever one list says wrong fails the whole: a
/// site that was half read must not look half empty.
///
/// # Errors
/// The first error of the workspace.
pub async fn read_inventory(
    workspace: &Workspace,
    site: SiteLabel,
    kinds: &[Kind],
    depth: Depth,
    now: Timestamp,
) -> Result<Inventory, Error> {
    read(workspace, site, kinds, Detail::Of(depth), now).await
}

/// As [`read_inventory`], with everything that a record needs: the tasks of jobs too. Of a job whose list entry is as it was in
/// `known`, the object is taken from there.
///
/// # Errors
/// The first error of the workspace.
pub async fn read_record(
    workspace: &Workspace,
    site: SiteLabel,
    kinds: &[Kind],
    known: Option<&Inventory>,
    now: Timestamp,
) -> Result<Inventory, Error> {
    let known = known.filter(|known| known.site == site);
    read(workspace, site, kinds, Detail::Record(known, None), now).await
}

/// As [`read_record`], going on from what earlier calls of the same reading were told of single objects. Lists are read anew.
///
/// # Errors
/// The first error of the workspace.
pub async fn resume_record(
    workspace: &Workspace,
    site: SiteLabel,
    kinds: &[Kind],
    details: &Details,
    now: Timestamp,
) -> Result<Inventory, Error> {
    let detail = Detail::Record(None, Some(details));
    read(workspace, site, kinds, detail, now).await
}

/// A reading of a site of which some calls may fail.
pub struct PartialReading {
    /// What could be read.
    pub inventory: Inventory,
    /// Why a kind, or `run`, could not be read, or not all of it. Of such a kind the reading proves nothing.
    pub unread: BTreeMap<String, Unread>,
}

/// What a reading lacks of one kind.
#[derive(Clone, Debug)]
pub struct Unread {
    /// The first error.
    pub error: Error,
    /// The objects of which the list is known and the rest is not; `None`: the list itself could not be read.
    pub ids: Option<BTreeSet<String>>,
}

/// The name under which a reading that lacks the active runs says so.
const RUNS: &str = "run";

/// As [`read_inventory`] with [`Depth::Live`], of a site that may be half dead: what one call does not tell does not keep the others from
/// being read.
pub async fn read_parts(
    workspace: &Workspace,
    site: SiteLabel,
    kinds: &[Kind],
    now: Timestamp,
) -> PartialReading {
    let lists = kinds.iter().map(|kind| read_part(workspace, *kind).boxed());
    let runs = async {
        if kinds.contains(&Kind::Job) {
            runs(workspace).await
        } else {
            Ok(vec![])
        }
    };
    let (lists, runs) = async { futures::join!(futures::future::join_all(lists), runs) }
        .boxed()
        .await;
    let (mut resources, mut unread) = (Vec::new(), BTreeMap::new());
    for (kind, (read, failed)) in kinds.iter().zip(lists) {
        resources.extend(read);
        unread.extend(failed.map(|failed| (kind.as_str().to_owned(), failed)));
    }
    let runs = runs.unwrap_or_else(|error| {
        unread.insert(RUNS.to_owned(), Unread { error, ids: None });
        vec![]
    });
    PartialReading {
        inventory: in_order(site, resources, runs, now),
        unread,
    }
}

/// After so many failed details in a row no more are asked for: each may cost a time-out, and what the lists show must be acted upon.
const MOST_FAILED_DETAILS: usize = 12;

/// All of a kind that could be read. An object whose detail failed stays as the list shows it: its mode is known by that.
async fn read_part(workspace: &Workspace, kind: Kind) -> (Vec<Resource>, Option<Unread>) {
    let listed = match list(workspace, kind.list(), &[], None).await {
        Ok(listed) => listed,
        Err(error) => return (vec![], Some(Unread { error, ids: None })),
    };
    let detail = Detail::Of(Depth::Live);
    let known = Known::of(kind, detail);
    let failed_in_a_row = AtomicUsize::new(0);
    let newest: Mutex<Option<Error>> = Mutex::new(None);
    let read_one = |raw: Object| {
        let (known, failed_in_a_row, newest) = (&known, &failed_in_a_row, &newest);
        async move {
            if failed_in_a_row.load(Ordering::Relaxed) >= MOST_FAILED_DETAILS
                && let Some(error) = newest
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone()
            {
                return (raw, Err(error));
            }
            let result = whole(workspace, kind, detail, known, raw.clone()).await;
            match &result {
                Ok(_) => failed_in_a_row.store(0, Ordering::Relaxed),
                Err(error) => {
                    failed_in_a_row.fetch_add(1, Ordering::Relaxed);
                    *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
                }
            }
            (raw, result)
        }
    };
    let objects: Vec<(Object, Result<Option<Object>, Error>)> = stream::iter(listed)
        .map(read_one)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let (mut read, mut failed, mut ids) = (Vec::new(), None, BTreeSet::new());
    for (listed, object) in objects {
        match object {
            Ok(object) => read.extend(object),
            Err(error) => {
                ids.extend(kind.id_of(&listed));
                read.push(listed);
                failed = failed.or(Some(error));
            }
        }
    }
    let unread = failed.map(|error| Unread {
        error,
        ids: Some(ids),
    });
    (protected(kind, read), unread)
}

fn protected(kind: Kind, objects: Vec<Object>) -> Vec<Resource> {
    objects
        .into_iter()
        .filter(|raw| kind.is_protected(raw))
        .filter_map(|raw| Resource::new(kind, raw))
        .collect()
}

/// Answers arrive in any order; the same site must read the same twice.
fn in_order(
    site: SiteLabel,
    mut resources: Vec<Resource>,
    runs: Vec<ActiveRun>,
    read_at: Timestamp,
) -> Inventory {
    resources.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
    resources.dedup_by(|a, b| (a.kind, &a.id) == (b.kind, &b.id));
    Inventory {
        site,
        read_at,
        resources,
        runs,
    }
}

async fn read(
    workspace: &Workspace,
    site: SiteLabel,
    kinds: &[Kind],
    detail: Detail<'_>,
    now: Timestamp,
) -> Result<Inventory, Error> {
    let lists = kinds
        .iter()
        .map(|kind| read_kind(workspace, *kind, detail).boxed());
    let runs = async {
        if kinds.contains(&Kind::Job) {
            runs(workspace).await
        } else {
            Ok(vec![])
        }
    };
    // Boxed: nested this deep, the futures of callers would exceed what the compiler lays out.
    let (lists, runs) = async { futures::try_join!(futures::future::try_join_all(lists), runs) }
        .boxed()
        .await?;
    let resources = lists.into_iter().flatten().collect();
    Ok(in_order(site, resources, runs, now))
}

async fn read_kind(
    workspace: &Workspace,
    kind: Kind,
    detail: Detail<'_>,
) -> Result<Vec<Resource>, Error> {
    let query = match (kind, detail) {
        (Kind::Job, Detail::Record(..)) => EXPANDED,
        _ => &[],
    };
    let listed = list(workspace, kind.list(), query, detail.earlier()).await?;
    let known = Known::of(kind, detail);
    let objects: Vec<Object> = stream::iter(listed)
        .map(|raw| whole(workspace, kind, detail, &known, raw))
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|object| async move { Ok(object) })
        .try_collect()
        .await?;
    Ok(protected(kind, objects))
}

/// Objects of an earlier record, by id.
struct Known<'a>(BTreeMap<&'a str, &'a Object>);

impl<'a> Known<'a> {
    fn of(kind: Kind, detail: Detail<'a>) -> Self {
        let Detail::Record(Some(known), _) = detail else {
            return Self(BTreeMap::new());
        };
        Self(
            known
                .of_kind(kind)
                .map(|r| (r.id.as_str(), &r.raw))
                .collect(),
        )
    }

    /// The object, if the list shows it as it was.
    fn unchanged(&self, id: &str, listed: &Object) -> Option<&'a Object> {
        let known = *self.0.get(id)?;
        let listed_settings = listed.get("settings")?.as_object()?;
        let known_settings = known.get("settings")?.as_object()?;
        // The list cuts these off.
        let cut = ["tasks", "job_clusters", "parameters", "environments"];
        let same = listed_settings.iter().all(|(field, value)| {
            cut.contains(&field.as_str()) || known_settings.get(field) == Some(value)
        });
        same.then_some(known)
    }
}

/// The object itself where the list does not show all that counts. `None` if it was deleted since it was listed.
async fn whole(
    workspace: &Workspace,
    kind: Kind,
    detail: Detail<'_>,
    known: &Known<'_>,
    raw: Object,
) -> Result<Option<Object>, Error> {
    let ReadBack::ObjectIf(needed) = kind.read_back() else {
        return Ok(Some(raw));
    };
    let Some(id) = kind.id_of(&raw) else {
        return Ok(Some(raw));
    };
    let is_record = matches!(detail, Detail::Record(..));
    let is_cut_off = is_record && raw.get("has_more").and_then(Value::as_bool) == Some(true);
    let everything = kind == Kind::Pipeline && !matches!(detail, Detail::Of(Depth::Live));
    if !(everything || is_cut_off || needed(&raw)) {
        return Ok(Some(raw));
    }
    // What the list may not show of a trigger cannot be known to be unchanged.
    if is_cut_off
        && !needed(&raw)
        && let Some(known) = known.unchanged(&id, &raw)
    {
        return Ok(Some(known.clone()));
    }
    let Some(details) = detail.earlier() else {
        return object_of(workspace, kind, id).await;
    };
    let request = details::request(kind.as_str(), &id, &raw);
    let asking = async {
        let object = object_of(workspace, kind, id).await?;
        Ok(object.map_or(Value::Null, Value::Object))
    };
    match details.answer(request, asking).await? {
        Value::Object(object) => Ok(Some(object)),
        _ => Ok(None),
    }
}

async fn object_of(workspace: &Workspace, kind: Kind, id: String) -> Result<Option<Object>, Error> {
    let object = match (kind, id.parse()) {
        (Kind::Job, Ok(number)) => workspace.get_job(JobId(number)).await,
        _ => workspace.get_pipeline(&PipelineId(id)).await,
    };
    match object {
        Err(error) if error.is_not_found() => Ok(None),
        whole => whole.map(Some),
    }
}

async fn runs(workspace: &Workspace) -> Result<Vec<ActiveRun>, Error> {
    let filter = RunsFilter {
        active_only: true,
        ..RunsFilter::default()
    };
    let mut runs: Vec<ActiveRun> = workspace
        .list_runs(filter)
        .await?
        .iter()
        .filter_map(ActiveRun::new)
        .collect();
    // Pages shift while runs start, so one may come twice.
    runs.sort_by_key(|r| r.run_id);
    runs.dedup_by_key(|r| r.run_id);
    Ok(runs)
}

/// What this system does not fence, with the reason. A kind that cannot be listed is named as a whole.
pub async fn read_unfenceable(workspace: &Workspace) -> Vec<(Subject, String)> {
    let lists = UNFENCEABLE.map(|kind| async move {
        let whole = |reason: String| vec![(subject(&kind, "*"), reason)];
        match kind.list {
            List::Nowhere => whole(kind.reason.to_owned()),
            _ => match list(workspace, kind.list, &[], None).await {
                Ok(found) => found
                    .iter()
                    .filter_map(|raw| raw.get(kind.id)?.as_str())
                    .map(|id| (subject(&kind, id), kind.reason.to_owned()))
                    .collect(),
                // A workspace that does not have the feature has none of its objects.
                Err(error) if error.is_not_found() => vec![],
                Err(error) => whole(format!("{}; it could not be listed: {error}", kind.reason)),
            },
        }
    });
    futures::future::join_all(lists)
        .boxed()
        .await
        .into_iter()
        .flatten()
        .collect()
}

fn subject(kind: &Unfenceable, id: &str) -> Subject {
    Subject {
        kind: kind.name.to_owned(),
        id: id.to_owned(),
        name: id.to_owned(),
    }
}
