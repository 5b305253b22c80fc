//! What the fence kept from the active site and S3 does not try again: found by listing both sites' data, and written down for a
//! person who decides what it is worth.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{DataSet, Plan};
use crate::site::{DataSetName, RunId, SiteLabel};

/// The version of `runs/<id>/held-back.json`.
pub const HELD_BACK_FORMAT: u32 = 1;

/// Objects written so long before the fence count, too. A run raises its fence minutes or hours after the failure began, and what
/// was written just before the failure was still pending then: S3 delivers most objects within minutes, and promises nothing.
pub const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24);

/// The most objects that are named, of all data sets together: a person cannot judge more, and a function must hold them in memory.
pub const MOST_HELD_BACK: usize = 100_000;

/// The most objects of one data set that the document names. The manifests name all.
pub const MOST_HELD_BACK_SHOWN: usize = 100;

/// The folder of the marker objects, which this system writes anew with every measurement.
const MARKERS: &str = "databricks-dr-marker";

/// What S3 Batch Operations takes in a key as it is; all else is encoded.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// An object as a listing shows it, by its key below the data set's prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// The key without the prefix of the data set's location.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was written, to the second.
    pub modified: Timestamp,
}

/// An object of the fenced site that the active site does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldObject {
    /// Its whole key in the bucket of the fenced site.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was written, to the second.
    pub modified: Timestamp,
    /// Whether the active site has another object by this name, which sending would replace.
    pub overwrites: bool,
}

/// `runs/<id>/held-back.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBackDocument {
    /// Always [`HELD_BACK_FORMAT`].
    pub format_version: u32,
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: u32,
    /// When the looking began.
    pub looked_at: Timestamp,
    /// The fenced site, whose objects these are.
    pub site: SiteLabel,
    /// Since when it is fenced.
    pub fenced_since: Timestamp,
    /// Only objects written after this moment count.
    pub since: Timestamp,
    /// Whether every data set was looked at to its end.
    pub complete: bool,
    /// One entry per data set that the fence kept from replicating.
    pub data_sets: Vec<HeldBackSet>,
}

/// One data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBackSet {
    /// Its name.
    pub name: DataSetName,
    /// The bucket of the fenced site.
    pub bucket: String,
    /// The prefix there, without slashes at its ends; empty for the whole bucket.
    pub prefix: String,
    /// Objects that were held back, as far as it was looked.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that would replace another object of the active site.
    pub overwrites: u64,
    /// Whether it was looked at to its end.
    pub complete: bool,
    /// Why it was not.
    pub problem: Option<String>,
    /// The first of the objects by name, [`MOST_HELD_BACK_SHOWN`] at most.
    pub first: Vec<HeldObject>,
}

/// What the fence held back, in short: for the request, and for the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldBack {
    /// The key of the document in the state bucket.
    pub document: String,
    /// The key of the manifest for S3 Batch Operations; none if nothing can be sent without replacing something.
    pub manifest: Option<String>,
    /// The key of the manifest of what would replace other objects; none if nothing would.
    pub overwriting: Option<String>,
    /// The site whose objects these are.
    pub site: SiteLabel,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that would replace another object of the active site.
    pub overwrites: u64,
    /// Why there may be more, by data set; empty if the list is complete.
    pub problems: Vec<String>,
}

/// A data set that the fence keeps from replicating, and where it is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FencedSet<'a> {
    /// Its name.
    pub name: &'a DataSetName,
    /// Bucket and prefix at the fenced site.
    pub there: (&'a str, &'a str),
    /// Bucket and prefix at the active site.
    pub here: (&'a str, &'a str),
    /// Places below it that are not its own, relative to its prefix and without slashes at their ends: other data sets', and
    /// tables that the plan excludes.
    pub not_its_own: BTreeSet<String>,
}

/// The data sets of which the fence on `site` holds objects back: S3 replicates them away from it, and the plan does not exempt them.
/// An object belongs to one of them only: the one with the longest prefix, the first in the plan of those with the same. None if the
/// plan names no role that replicates away from the site.
#[must_use]
pub fn fenced_sets(plan: &Plan, site: SiteLabel) -> Vec<FencedSet<'_>> {
    if plan.replication_fence.roles.of(site).is_empty() {
        return Vec::new();
    }
    let all: Vec<&DataSet> = plan
        .data_sets
        .iter()
        .filter(|set| !plan.is_exempt(set) && is_replicated(set, site))
        .collect();
    let mut found: Vec<FencedSet<'_>> = Vec::new();
    for set in &all {
        let there = (set.bucket(site), set.prefix(site));
        if found.iter().any(|other| other.there == there) {
            continue;
        }
        let mut not_its_own: BTreeSet<String> = all
            .iter()
            .filter(|other| other.bucket(site) == there.0)
            .filter_map(|other| below(there.1, other.prefix(site)))
            .map(str::to_owned)
            .collect();
        if let DataSet::Delta(set) = set {
            not_its_own.extend(set.exclude.iter().cloned());
        }
        found.push(FencedSet {
            name: set.name(),
            there,
            here: (set.bucket(site.other()), set.prefix(site.other())),
            not_its_own,
        });
    }
    found
}

fn is_replicated(set: &DataSet, site: SiteLabel) -> bool {
    match set {
        DataSet::Bucket(set) => set.rules.from(site).is_some(),
        // Their plan names no rule; what S3 does not replicate is exempt.
        DataSet::Delta(_) | DataSet::Marker(_) => true,
    }
}

/// The rest of a prefix that lies below another one.
fn below<'a>(prefix: &str, other: &'a str) -> Option<&'a str> {
    let rest = match prefix {
        "" => Some(other),
        prefix => other.strip_prefix(prefix)?.strip_prefix('/'),
    };
    rest.filter(|rest| !rest.is_empty())
}

impl FencedSet<'_> {
    /// Whether an object of the fenced site must be looked for at the active one: it is the data set's own, no marker of this
    /// system, and newer than `since`.
    #[must_use]
    pub fn is_in_question(&self, object: &ListedObject, since: Timestamp) -> bool {
        let is_marker = object.key.split('/').rev().skip(1).any(|f| f == MARKERS);
        object.modified > since && !is_marker && self.foreign(&object.key).is_none()
    }

    /// The place of another that a key lies in.
    fn foreign(&self, key: &str) -> Option<&str> {
        let mut places = self.not_its_own.iter().map(String::as_str);
        places.find(|place| *place == key || below(place, key).is_some())
    }

    /// Behind which key the listing of the fenced site goes on: the last one, or the end of a place that is not the data set's own.
    #[must_use]
    pub fn resume_after(&self, last: &str) -> String {
        match self.foreign(last) {
            // No key sorts behind this one that still lies in that place.
            Some(place) if place != last => format!("{place}/{}", char::MAX),
            _ => last.to_owned(),
        }
    }

    /// What of the objects in question was held back: the active site has none by that name with the same size. `here` are its
    /// sizes by key below its prefix, of at least these names.
    #[must_use]
    pub fn held_back(
        &self,
        in_question: &[ListedObject],
        here: &BTreeMap<String, u64>,
    ) -> Vec<HeldObject> {
        let lacking = in_question
            .iter()
            .filter(|object| here.get(&object.key) != Some(&object.size));
        lacking
            .map(|object| HeldObject {
                key: whole_key(self.there.1, &object.key),
                size: object.size,
                modified: object.modified,
                overwrites: here.contains_key(&object.key),
            })
            .collect()
    }

    /// Its entry in the document.
    #[must_use]
    pub fn entry(&self, objects: &[HeldObject], problem: Option<String>) -> HeldBackSet {
        HeldBackSet {
            name: self.name.clone(),
            bucket: self.there.0.to_owned(),
            prefix: self.there.1.to_owned(),
            count: count(objects.iter()),
            bytes: objects
                .iter()
                .fold(0, |sum, object| object.size.saturating_add(sum)),
            overwrites: count(objects.iter().filter(|object| object.overwrites)),
            complete: problem.is_none(),
            problem,
            first: objects.iter().take(MOST_HELD_BACK_SHOWN).cloned().collect(),
        }
    }
}

fn count<'a>(objects: impl Iterator<Item = &'a HeldObject>) -> u64 {
    u64::try_from(objects.count()).unwrap_or(u64::MAX)
}

/// A key from a prefix without slashes at its ends and the rest.
#[must_use]
pub fn whole_key(prefix: &str, rest: &str) -> String {
    match prefix {
        "" => rest.to_owned(),
        prefix => format!("{prefix}/{rest}"),
    }
}

/// Lines of a manifest as S3 Batch Operations reads it: bucket and encoded key, without a head.
#[must_use]
pub fn manifest<'a>(bucket: &str, objects: impl Iterator<Item = &'a HeldObject>) -> String {
    objects
        .map(|object| format!("{bucket},{}\n", utf8_percent_encode(&object.key, PLAIN)))
        .collect()
}

impl HeldBackDocument {
    /// The document in short. `manifest` and `overwriting` are keys of manifests that were written.
    #[must_use]
    pub fn summary(
        &self,
        document: String,
        manifest: Option<String>,
        overwriting: Option<String>,
    ) -> HeldBack {
        let sum = |of: fn(&HeldBackSet) -> u64| {
            let all = self.data_sets.iter().map(of);
            all.fold(0_u64, u64::saturating_add)
        };
        HeldBack {
            document,
            manifest,
            overwriting,
            site: self.site,
            objects: sum(|set| set.count),
            bytes: sum(|set| set.bytes),
            overwrites: sum(|set| set.overwrites),
            problems: self
                .data_sets
                .iter()
                .filter_map(|set| Some(format!("{}: {}", set.name, set.problem.as_ref()?)))
                .collect(),
        }
    }
}

impl HeldBack {
    /// Whether a person has something to decide or to find out.
    #[must_use]
    pub const fn needs_a_person(&self) -> bool {
        self.objects > 0 || !self.problems.is_empty()
    }

    /// One sentence for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        let (from, to) = (self.site, self.site.other());
        let mut words = match (self.objects, self.problems.is_empty()) {
            (0, true) => {
                return format!(
                    "the fence held nothing back: the {to} site has what the {from} site wrote last"
                );
            }
            (0, false) => format!("the {to} site has all that was seen of the {from} site's last"),
            (objects, _) => {
                let plural = if objects == 1 { "" } else { "s" };
                let named = self.manifest.as_ref();
                format!(
                    "{objects} object{plural} ({}) of the {from} site never reached the {to} site, or were deleted there since{}; \
                     decide what they are worth before you send them",
                    bytes_in_words(self.bytes),
                    named.map_or_else(String::new, |key| format!(": {key}"))
                )
            }
        };
        if let Some(overwriting) = &self.overwriting {
            words.push_str(&format!(
                "; sending {} of them ({overwriting}) would replace what the {to} site has written since",
                self.overwrites
            ));
        }
        if !self.problems.is_empty() {
            words.push_str(&format!(
                "; THE LIST OF WHAT THE FENCE HELD BACK IS NOT COMPLETE ({}): {}",
                self.document,
                self.problems.join("; ")
            ));
        }
        words
    }
}

fn bytes_in_words(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, "KiB");
    for larger in ["MiB", "GiB", "TiB", "PiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
#[path = "held_back_tests.rs"]
mod tests;
