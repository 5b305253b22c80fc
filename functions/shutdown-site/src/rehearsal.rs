//! The fence of a drill: every act is worked out against the site as it is, and the operator's permission for it is read. Nothing is
//! changed.

use std::collections::{BTreeMap, BTreeSet};

use aws::{Failure, Invocation, Ports, keys};
use futures::FutureExt;
use jiff::Timestamp;
use recovery::fence::steps;
use recovery::inventory::Resource;
use recovery::kind::Kind;
use recovery::operator_check::OperatorCheck;
use recovery::permissions::{key as key_of, may_manage};
use recovery::plan::Plan;
use recovery::run::{RehearsalAnswer, Stage};
use recovery::site::{RunId, RunToken, SiteLabel};
use serde::{Deserialize, Serialize};
use sites::{
    Depth, Purpose, Role, connect_to, failure_at, frozen_url, read_inventory, read_permissions_of,
};

use crate::Answer;

/// Whose permission is read before what was found is stored.
const BATCH: usize = 200;
/// Refusals that are named in one sentence.
const MOST_NAMED: usize = 5;

/// `runs/<id>/fence-rehearsal.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FenceRehearsal {
    /// Always 1.
    pub format_version: u32,
    /// The site that would be fenced.
    pub site: SiteLabel,
    /// When it was read.
    pub read_at: Timestamp,
    /// Acts that the fence would begin with, by what they do.
    pub acts: BTreeMap<String, usize>,
    /// Objects whose permission was read.
    pub checked: BTreeSet<String>,
    /// Kind, id and name of what the operator may not manage.
    pub refused: BTreeSet<String>,
}

/// One call: as many permissions as its time allows.
pub(crate) async fn rehearse(
    ports: &Ports,
    plan: &Plan,
    run_id: &RunId,
    token: &RunToken,
    invocation: &Invocation,
) -> Result<Answer, Failure> {
    let run = ports.enter(run_id, token, Stage::Rehearsal).await?;
    let site = run.from;
    let fail = |e| failure_at(site, &e);
    let url = frozen_url(&run, site)?;
    // In a drill the site serves its users: this must not take their share of the rates.
    let workspace = connect_to(ports, plan, site, url, Role::Operator, Purpose::Background).await?;
    workspace.verified().boxed().await.map_err(fail)?;
    let operator = workspace.me().boxed().await.map_err(fail)?;
    let kinds: Vec<Kind> = plan.protected_kinds().collect();
    let now = ports.now();
    let inventory = read_inventory(&workspace, site, &kinds, Depth::Whole, now)
        .await
        .map_err(fail)?;
    let steps = steps(&inventory, &kinds, now);
    let key = keys::of_run(run_id, "fence-rehearsal.json");
    let stored: Option<FenceRehearsal> = ports.read(&key).await?;
    let mut found = stored.unwrap_or_else(|| FenceRehearsal {
        format_version: 1,
        site,
        read_at: now,
        acts: BTreeMap::new(),
        checked: BTreeSet::new(),
        refused: BTreeSet::new(),
    });
    found.read_at = now;
    found.acts.clear();
    for step in &steps {
        let act = step.act.quieting_words().to_owned();
        *found.acts.entry(act).or_default() += 1;
    }
    let names: BTreeSet<&str> = std::iter::once(operator.user_name.as_str())
        .chain(operator.groups.iter().map(String::as_str))
        .collect();
    let of_steps: Vec<&Resource> = steps
        .iter()
        .filter_map(|step| step.subject.as_ref())
        .filter_map(|s| inventory.resources.iter().find(|r| r.subject() == *s))
        .filter(|resource| !found.checked.contains(&key_of(resource)))
        .collect();
    let mut left = of_steps.len();
    for batch in of_steps.chunks(BATCH) {
        if invocation.is_over() {
            break;
        }
        ports.require_lock(run_id, token).await?;
        let answers = read_permissions_of(&workspace, batch).await.map_err(fail)?;
        for resource in batch {
            let key = key_of(resource);
            // A kind without permissions of its own, or an object that is gone, refuses nobody.
            let may = answers.get(&key).is_none_or(|a| may_manage(a, &names));
            if !may {
                let named = format!("{} {} \"{}\"", resource.kind, resource.id, resource.name);
                found.refused.insert(named);
            }
            found.checked.insert(key);
        }
        left -= batch.len();
        ports.put(&key, &found).await?;
    }
    ports.put(&key, &found).await?;
    let acts: usize = found.acts.values().sum();
    if left > 0 {
        return Ok(Answer::Rehearsed {
            answer: RehearsalAnswer::Continue,
            reason: format!("{left} permissions are still to be read"),
        });
    }
    let check = OperatorCheck {
        format_version: 1,
        run: run_id.clone(),
        checked_at: now,
        objects: found.checked.len(),
        refused: found.refused.clone(),
    };
    ports.put(&keys::operator_check(site), &check).await?;
    if found.refused.is_empty() {
        ports.finish(run_id, token, Stage::Rehearsal).await?;
        return Ok(Answer::Rehearsed {
            answer: RehearsalAnswer::Rehearsed,
            reason: format!("{acts} acts would fence the {site} site, and the operator may do all"),
        });
    }
    let some: Vec<&str> = found
        .refused
        .iter()
        .take(MOST_NAMED)
        .map(String::as_str)
        .collect();
    Ok(Answer::Rehearsed {
        answer: RehearsalAnswer::Refused,
        reason: format!(
            "the operator of the {site} site may not manage {} objects that a fence must stop: {}; grant CAN_MANAGE",
            found.refused.len(),
            some.join(", ")
        ),
    })
}
