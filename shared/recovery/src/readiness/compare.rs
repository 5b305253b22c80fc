//! The comparison: one status for each object.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::concern::{Concern, Offered, concerns};
use super::difference::{Difference, differences};
use super::mapping::{Names, Translation};
use super::status::{Finding, Readiness, ReadinessStatus};
use crate::inventory::{Inventory, Resource, Subject};
use crate::kind::{DrMode, Kind, Object};
use crate::permissions;
use crate::plan::{Accepted, Plan};

/// What one site holds.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Its objects.
    pub inventory: &'a Inventory,
    /// The permissions of the objects that the plan names, by [`permissions::key`].
    pub permissions: &'a BTreeMap<String, Object>,
    /// What else its objects refer to by id.
    pub names: &'a BTreeMap<String, String>,
}

/// Everything that is compared.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What the active site runs: the baseline.
    pub active: Held<'a>,
    /// What the standby holds.
    pub standby: Held<'a>,
    /// What clusters can be made of at the standby, if it said so.
    pub offered: Option<&'a Offered>,
    /// Objects of the standby that nobody compares, with the reason.
    pub not_compared: &'a [(Subject, String)],
    /// The comparison before this one, of the same standby.
    pub before: Option<&'a Readiness>,
    /// When the standby was read.
    pub now: Timestamp,
}

/// Compares the standby with the baseline, object by object, by kind and key.
///
/// What blocks: an object that is absent; a name that stands more than once, if something live bears it; an object of the baseline
/// that starts work by itself at the standby; a live object for which the standby offers no Spark version or node type, or which is
/// being deleted there. What the plan accepts never blocks.
#[must_use]
pub fn compare(comparison: &Comparison<'_>) -> Readiness {
    let names = (
        Names::of(comparison.active.inventory, comparison.active.names),
        Names::of(comparison.standby.inventory, comparison.standby.names),
    );
    let work = Work {
        given: comparison,
        // A site that is compared with its own record names everything alike.
        active: if comparison.active.inventory.site == comparison.standby.inventory.site {
            Translation::of_standby(&names.0)
        } else {
            Translation::of_active(
                &names.0,
                &comparison.plan.readiness.mapping,
                comparison.active.inventory.site,
            )
        },
        standby: Translation::of_standby(&names.1),
        earlier: comparison
            .before
            .iter()
            .flat_map(|before| &before.findings)
            .map(|f| ((f.subject.kind.as_str(), f.subject.name.as_str()), f))
            .collect(),
    };
    let mut result = Readiness::default();
    let theirs = comparison.standby.inventory.by_key();
    let ours = comparison.active.inventory.by_key();
    for ((kind, key), originals) in &ours {
        if !comparison.plan.kinds.contains(kind) {
            continue;
        }
        let twins = theirs.get(&(*kind, *key)).map_or(&[][..], Vec::as_slice);
        for original in originals.iter().filter(|o| o.mode() != DrMode::Excluded) {
            let finding = match (originals.len(), twins) {
                (_, []) => work.missing(original),
                (1, [twin]) => work.pair(original, twin),
                (active, twins) => work.ambiguous(original, active, twins.len()),
            };
            result.add(finding);
        }
    }
    for resource in &comparison.standby.inventory.resources {
        if comparison.plan.kinds.contains(&resource.kind)
            && resource.mode() != DrMode::Excluded
            && !ours.contains_key(&(resource.kind, resource.key.as_str()))
        {
            result.add(work.extra(resource));
        }
    }
    for (subject, why) in comparison.not_compared {
        let why = Concern::NotCompared { why: why.clone() };
        result.add(work.finding(subject.clone(), ReadinessStatus::Unsupported, vec![why]));
    }
    result.findings.sort_by_key(|f| (!f.blocking, f.status));
    result
}

impl Readiness {
    fn add(&mut self, finding: Finding) {
        *self.counts.entry(finding.status).or_default() += 1;
        if finding.status != ReadinessStatus::InSync || !finding.concerns.is_empty() {
            self.findings.push(finding);
        }
    }
}

struct Work<'a> {
    given: &'a Comparison<'a>,
    active: Translation<'a>,
    standby: Translation<'a>,
    earlier: BTreeMap<(&'a str, &'a str), &'a Finding>,
}

impl Work<'_> {
    fn finding(
        &self,
        subject: Subject,
        status: ReadinessStatus,
        concerns: Vec<Concern>,
    ) -> Finding {
        let earlier = self
            .earlier
            .get(&(subject.kind.as_str(), subject.name.as_str()));
        let since = match (earlier, self.given.before) {
            (Some(earlier), _) if earlier.status != ReadinessStatus::InSync => earlier.since,
            (_, Some(_)) => Some(self.given.now),
            (_, None) => None,
        };
        Finding {
            subject,
            status,
            blocking: false,
            differences: Vec::new(),
            concerns,
            since,
            accepted: None,
        }
    }

    /// Blocks, unless the plan accepts it.
    fn block(&self, mut finding: Finding, original: &Resource, blocks: bool) -> Finding {
        let holds = |accepted: &&Accepted| {
            accepted.kind == original.kind
                && accepted.statuses.contains(&finding.status)
                && accepted
                    .names
                    .iter()
                    .any(|name| crate::activation::matches(name, &original.name))
        };
        let accepted = self.given.plan.readiness.accepted.iter().find(holds);
        finding.accepted = accepted.map(|accepted| accepted.why.clone());
        finding.blocking = blocks && accepted.is_none();
        finding
    }

    fn missing(&self, original: &Resource) -> Finding {
        let mut finding = self.finding(original.subject(), ReadinessStatus::Missing, Vec::new());
        self.may_lag(&mut finding, original);
        // A run would not wait for it: what is not there cannot be activated.
        self.block(finding, original, true)
    }

    fn ambiguous(&self, original: &Resource, active: usize, standby: usize) -> Finding {
        let concern = Concern::NotUnique { active, standby };
        let finding = self.finding(
            original.subject(),
            ReadinessStatus::Ambiguous,
            vec![concern],
        );
        self.block(finding, original, original.is_live())
    }

    fn extra(&self, resource: &Resource) -> Finding {
        let mut concerns = Vec::new();
        // Nothing at the active site does the same work, so this is no split brain: it is told and blocks nothing.
        if fires(resource) {
            concerns.push(Concern::NotPaused);
        }
        self.finding(resource.subject(), ReadinessStatus::Extra, concerns)
    }

    fn pair(&self, original: &Resource, twin: &Resource) -> Finding {
        let mut found = concerns(twin, self.given.offered);
        let is_split_brain = fires(twin) && original.mode() == DrMode::ActivePassive;
        if is_split_brain {
            found.insert(0, Concern::NotPaused);
        }
        let differences = self.differences(original, twin);
        let broken = found.iter().find_map(|concern| match concern {
            Concern::Broken { state } => Some(state.starts_with("DELET")),
            _ => None,
        });
        let not_offered = found.iter().any(Concern::is_not_offered);
        let status = if broken.is_some() {
            ReadinessStatus::Failed
        } else if not_offered {
            ReadinessStatus::Unsupported
        } else if is_split_brain || !differences.is_empty() {
            ReadinessStatus::Drifted
        } else {
            ReadinessStatus::InSync
        };
        let mut finding = self.finding(original.subject(), status, found);
        finding.differences = differences;
        if !is_split_brain {
            self.may_lag(&mut finding, original);
        }
        let cannot_run = not_offered || broken == Some(true);
        self.block(
            finding,
            original,
            is_split_brain || (cannot_run && original.is_live()),
        )
    }

    /// What came up a moment ago may still be on its way.
    fn may_lag(&self, finding: &mut Finding, original: &Resource) {
        let young = |moment: Timestamp| {
            self.given.now.duration_since(moment)
                < self.given.plan.readiness.lagging_for_seconds.signed()
        };
        let plain = matches!(
            finding.status,
            ReadinessStatus::Missing | ReadinessStatus::Drifted
        );
        let changed = changed_at(original);
        if plain && (changed.is_some_and(young) || finding.since.is_some_and(young)) {
            finding.status = ReadinessStatus::Lagging;
        }
    }

    fn differences(&self, original: &Resource, twin: &Resource) -> Vec<Difference> {
        let compared = original.kind.compared();
        let own = self.given.plan.readiness.mapping.ignore.iter();
        let own = own.filter(|field| field.kind == original.kind);
        let left_out: Vec<&str> = compared
            .platform
            .iter()
            .chain(compared.posture)
            .copied()
            .chain(own.map(|field| field.path.as_str()))
            .collect();
        let ignored = |path: &str| {
            let root = path.split(['.', '[']).next().unwrap_or_default();
            let outside =
                !path.is_empty() && !compared.within.is_empty() && !compared.within.contains(&root);
            outside
                || left_out.iter().any(|left_out| {
                    path.strip_prefix(left_out)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                })
        };
        let ours = self.active.value("", &Value::Object(original.raw.clone()));
        let theirs = self.standby.value("", &Value::Object(twin.raw.clone()));
        let mut found = differences(&ours, &theirs, &ignored);
        let granted = |held: &Held<'_>, resource: &Resource| {
            held.permissions.get(&permissions::key(resource)).cloned()
        };
        if let (Some(ours), Some(theirs)) = (
            granted(&self.given.active, original),
            granted(&self.given.standby, twin),
        ) {
            let principal = |who: &str| self.active.text("principal", who);
            found.extend(permissions::differences(&ours, &theirs, &principal));
        }
        found
    }
}

/// Whether an object starts work by itself, and not on purpose at both sites.
fn fires(resource: &Resource) -> bool {
    resource.kind.fires_by_itself()
        && resource.mode() == DrMode::ActivePassive
        && resource.is_live()
}

/// When the platform says that the object was made or last changed, of the kinds that say so.
fn changed_at(original: &Resource) -> Option<Timestamp> {
    let field = |name: &str| original.raw.get(name);
    match original.kind {
        Kind::Job => Timestamp::from_millisecond(field("created_time")?.as_i64()?).ok(),
        Kind::Pipeline => Timestamp::from_millisecond(field("last_modified")?.as_i64()?).ok(),
        _ => field("update_time")?.as_str()?.parse().ok(),
    }
}
