//! What is known when a run begins, frozen before anybody is asked.

use std::collections::BTreeMap;

use aws::{Failure, Ports, keys};
use recovery::activation::debts::DebtsPointer;
use recovery::baseline::BaselinePointer;
use recovery::evidence::{EVIDENCE_FORMAT, FrozenEvidence, SiteEvidence};
use recovery::failure::FailureName;
use recovery::incident::Incident;
use recovery::plan::Plan;
use recovery::replication::ReplicationStatus;
use recovery::run::Evidence;
use recovery::site::{RunId, SiteLabel};
use recovery::verdict::judge;

/// What the caller knows already.
pub(crate) struct EvidenceInput {
    pub(crate) incident: Option<RunId>,
    pub(crate) baseline: BaselinePointer,
    pub(crate) owed: Option<DebtsPointer>,
    pub(crate) workspace_urls: BTreeMap<SiteLabel, String>,
}

pub(crate) async fn evidence(
    ports: &Ports,
    plan: &Plan,
    from: SiteLabel,
    known: EvidenceInput,
) -> Result<Evidence, Failure> {
    let EvidenceInput {
        incident,
        baseline,
        owed,
        workspace_urls,
    } = known;
    // Evidence that cannot be read is missing evidence, which a human is told; it must not stop a failover.
    let mut signals = Vec::new();
    let judged = ports
        .judgement(plan, from)
        .await
        .map_err(|f| signals.push(f.to_string()))
        .ok();
    let incident: Option<Incident> = match incident {
        Some(id) => ports.read(&keys::incident(&id)).await.unwrap_or_else(|f| {
            signals.push(f.to_string());
            None
        }),
        None => None,
    };
    let replication: Option<ReplicationStatus> =
        ports.read(keys::REPLICATION).await.unwrap_or_else(|f| {
            signals.push(f.to_string());
            None
        });
    if let Some(judged) = &judged {
        signals.extend(judged.evidence.iter().cloned());
        signals.extend(
            judged
                .why_not
                .iter()
                .map(|why| format!("not actionable: {why}")),
        );
    }
    if baseline.site != from {
        signals.push(format!(
            "nothing was captured at the {from} site since it became active: what is restored is the record of the {} site itself, of {}",
            baseline.site, baseline.captured_at
        ));
    }
    let debts = readable_debts(ports, owed, from, &mut signals).await?;
    Ok(Evidence {
        verdict: judged.as_ref().map(|j| j.verdict),
        actionable: judged.as_ref().is_some_and(|j| j.actionable),
        failing_since: incident
            .map(|i| i.since)
            .or_else(|| judged.and_then(|j| j.since)),
        signals,
        baseline,
        debts,
        replication: replication.filter(|r| r.from == from),
        proof: None,
        repair: None,
        held_back: None,
        workspace_urls,
    })
}

/// What is owed, if it can be read, and its names for people. A list that is gone keeps nobody from a failover: the rest is restored.
async fn readable_debts(
    ports: &Ports,
    owed: Option<DebtsPointer>,
    from: SiteLabel,
    signals: &mut Vec<String>,
) -> Result<Option<DebtsPointer>, Failure> {
    let Some(pointer) = owed else {
        return Ok(None);
    };
    match ports.debts(Some(&pointer), from).await {
        Ok(debts) => {
            signals.push(format!(
                "{} objects that earlier runs could not bring up are restored too: {}",
                pointer.count,
                debts.describe()
            ));
            Ok(Some(pointer))
        }
        Err(failure) if failure.name == FailureName::StateCorrupt => {
            signals.push(format!(
                "{} objects that earlier runs could not bring up are NOT restored: {failure}",
                pointer.count
            ));
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Freezes what every vantage saw of both sites, for the request and its page. What cannot be read is missing evidence, which
/// people are told; it must not stop a failover.
pub(crate) async fn freeze(ports: &Ports, plan: &Plan, run: &RunId, attempt: u32) {
    let mut sites = BTreeMap::new();
    for site in SiteLabel::ALL {
        let seen = match ports.observations(plan, site).await {
            Ok(observations) => {
                let judged = judge(&observations, &plan.detection.policy, ports.now());
                let problem = judged.as_ref().err().map(ToString::to_string);
                SiteEvidence {
                    problem,
                    ..SiteEvidence::new(judged.ok(), observations)
                }
            }
            Err(failure) => SiteEvidence::unreadable(failure.to_string()),
        };
        sites.insert(site, seen);
    }
    let evidence = FrozenEvidence {
        format_version: EVIDENCE_FORMAT,
        run: run.clone(),
        attempt,
        frozen_at: ports.now(),
        sites,
    };
    if let Err(failure) = ports
        .put(&keys::of_run(run, "evidence.json"), &evidence)
        .await
    {
        tracing::warn!(%failure, "the evidence could not be frozen");
    }
}
