//! Debts: what a run could not bring up, or was allowed to leave behind. A debt stands until a reading shows the object as the record
//! said, or until people give it up by name; whatever is restored meanwhile is restored as the debt says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pairs::{Pairs, Record, unpaired};
use super::{Next, Phase, restore_of};
use crate::inventory::{Inventory, Resource, Subject};
use crate::kind::{DrMode, Kind, Object};
use crate::site::{ContentDigest, RunId, SiteLabel};

/// The version of the format of a list of debts.
pub const DEBTS_FORMAT: u32 = 1;

/// Names of debts in one sentence.
const MOST_NAMED: usize = 20;

/// One object that is not as the approved record says, in what one phase restores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Debt {
    /// What of it could not be restored.
    pub phase: Phase,
    /// The object as the record has it, as far as a restore needs it; its id is that of the site that was recorded.
    pub original: Resource,
    /// Why, in words.
    pub why: String,
    /// The run that first could not bring it up.
    pub run: RunId,
    /// When that was.
    pub since: Timestamp,
    /// When a run last could not bring it up. Only a later reading shows that it is up.
    pub noted_at: Timestamp,
    /// What a newer version has added.
    #[serde(flatten)]
    pub added: Object,
}

/// `debts/<digest>.json.gz`, and what one phase of a run left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Debts {
    /// Always [`DEBTS_FORMAT`].
    pub format_version: u32,
    /// The site at which they could not be brought up.
    pub site: SiteLabel,
    /// Each.
    pub debts: Vec<Debt>,
    /// What a newer version has added.
    #[serde(flatten)]
    pub added: Object,
}

/// What the state holds of the debts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DebtsPointer {
    /// Objects.
    pub count: usize,
    /// Where the list lies.
    pub key: String,
    /// Of the list.
    pub digest: ContentDigest,
    /// The record of the active site in which they were last looked for.
    #[serde(default)]
    pub looked_in: Option<ContentDigest>,
}

impl DebtsPointer {
    /// The same list, looked for in this record.
    #[must_use]
    pub fn looked_at(self, looked_in: Option<ContentDigest>) -> Self {
        Self { looked_in, ..self }
    }
}

impl Debt {
    /// Whether this reading of the object shows that nothing is owed any more: it is as the record says, it is live in another way, which
    /// is a person's choice, or it has been taken out of our hands by its tag.
    #[must_use]
    pub fn is_settled_by(&self, twin: &Resource) -> bool {
        if twin.mode() != DrMode::ActivePassive {
            return true;
        }
        match restore_of(self.phase, &self.original, twin) {
            Next::AsWanted | Next::NotOurs => true,
            Next::Act(_) | Next::Wait | Next::List(_) => {
                self.phase != Phase::JobConcurrency && twin.is_live()
            }
        }
    }

    fn identity(&self) -> (Kind, &str) {
        (self.original.kind, self.original.key.as_str())
    }
}

impl Debts {
    /// None, at this site.
    #[must_use]
    pub fn none(site: SiteLabel) -> Self {
        Self {
            format_version: DEBTS_FORMAT,
            site,
            debts: Vec::new(),
            added: Object::new(),
        }
    }

    /// The objects, each once.
    #[must_use]
    pub fn objects(&self) -> BTreeSet<(Kind, &str)> {
        let debts = self.debts.iter();
        debts.map(Debt::identity).collect()
    }

    /// The objects by name, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let names: BTreeSet<String> = self
            .debts
            .iter()
            .map(|debt| format!("{} \"{}\"", debt.original.kind, debt.original.name))
            .collect();
        let shown: Vec<&str> = names.iter().take(MOST_NAMED).map(String::as_str).collect();
        let more = if names.len() > MOST_NAMED {
            ", ..."
        } else {
            ""
        };
        format!("{}{more}", shown.join(", "))
    }

    /// What is left after people have given these up.
    ///
    /// # Errors
    /// The first name that stands for no debt, in words.
    pub fn give_up(mut self, kind: Kind, names: &[String]) -> Result<Self, String> {
        for name in names {
            let before = self.debts.len();
            self.debts.retain(|debt| {
                let original = &debt.original;
                original.kind != kind || (original.name != *name && original.key != *name)
            });
            if self.debts.len() == before {
                let standing = self.describe();
                let standing = if standing.is_empty() {
                    "none"
                } else {
                    &standing
                };
                return Err(format!(
                    "no debt is {kind} \"{name}\"; left would be: {standing}"
                ));
            }
        }
        Ok(self)
    }

    /// Takes out what this reading of the site shows as it should be. An object that is not there, or whose name stands there twice, is
    /// still owed.
    #[must_use]
    pub fn settle(self, reading: &Inventory) -> (Self, Self) {
        let is_settled = |debt: &Debt| {
            let twins = reading.of_kind(debt.original.kind);
            let twins: Vec<&Resource> = twins.filter(|r| r.key == debt.original.key).collect();
            let read_since = reading.read_at > debt.noted_at;
            read_since && matches!(twins.as_slice(), [twin] if debt.is_settled_by(twin))
        };
        let (settled, standing) = self.debts.into_iter().partition(is_settled);
        let with = |debts| Self {
            format_version: self.format_version,
            site: self.site,
            debts,
            added: self.added.clone(),
        };
        (with(standing), with(settled))
    }
}

/// Whether the target has the object in a state that nothing of ours leads out of. An update of a pipeline that was interrupted is a person's
/// to start again, and no debt.
fn is_beyond_repair(phase: Phase, original: &Resource, twin: &Resource) -> bool {
    let is_listed = matches!(restore_of(phase, original, twin), Next::List(_));
    is_listed && original.is_live() && !twin.is_live() && original.kind != Kind::Pipeline
}

/// What a phase leaves at the target, by its last reading there; without one, all that the record has live. What was owed before keeps its
/// age; what the plan no longer protects stays owed.
#[must_use]
pub fn left_over(
    phase: Phase,
    kinds: &[Kind],
    record: Record<'_>,
    target: Option<&Inventory>,
    run: &RunId,
    unfinished: &BTreeSet<Subject>,
    now: Timestamp,
) -> Vec<Debt> {
    let is_ours = |kind: Kind| kinds.contains(&kind) && kind.is_restored_in(phase);
    let mut left: Vec<(&Resource, String)> = Vec::new();
    if let Some(target) = target {
        let pairs = Pairs::of(phase, record, target);
        for (originals, twins) in pairs.of_kinds(is_ours) {
            match (originals.as_slice(), twins.as_slice()) {
                ([original], [twin]) => {
                    if unfinished.contains(&twin.subject())
                        || is_beyond_repair(phase, original, twin)
                    {
                        left.push((original, "could not be made as recorded".to_owned()));
                    }
                }
                (originals, twins) => {
                    let why = unpaired(originals.len(), twins.len());
                    let live = originals.iter().filter(|o| o.is_live());
                    left.extend(live.map(|original| (*original, why.clone())));
                }
            }
        }
    } else {
        let all = record.inventory.resources.iter();
        let owed = record.debts.iter().filter(|debt| debt.phase == phase);
        let all = all.chain(owed.map(|debt| &debt.original));
        let live = all.filter(|r| is_ours(r.kind) && r.is_live());
        left.extend(live.map(|r| (r, "nothing has shown it as recorded yet".to_owned())));
    }
    let before: BTreeMap<(Kind, &str), &Debt> = record
        .debts
        .iter()
        .filter(|debt| debt.phase == phase)
        .map(|debt| (debt.identity(), debt))
        .collect();
    let (mut debts, mut named) = (Vec::new(), BTreeSet::new());
    for (original, why) in left {
        let identity = (original.kind, original.key.as_str());
        if original.mode() != DrMode::ActivePassive || !named.insert(identity) {
            continue;
        }
        let before = before.get(&identity);
        debts.push(Debt {
            phase,
            original: original.for_posture(),
            why,
            run: before.map_or_else(|| run.clone(), |debt| debt.run.clone()),
            since: before.map_or(now, |debt| debt.since),
            noted_at: now,
            added: Object::new(),
        });
    }
    let unprotected = before.values();
    let unprotected = unprotected.filter(|debt| !kinds.contains(&debt.original.kind));
    debts.extend(unprotected.map(|debt| (*debt).clone()));
    debts
}

#[cfg(test)]
mod tests;
