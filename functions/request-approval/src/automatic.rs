//! Automatic failover: while nobody has decided, the plan may. It decides by a document like everybody else.

use aws::{Failure, Ports, keys};
use recovery::approval::{Asked, Choice, Door, Receipt, Request, Wish};
use recovery::incident::{Automatic, Incident, may_approve};

/// Approves, if nothing speaks against it. Says what was done, or everything that speaks against it.
pub(crate) async fn decide(
    ports: &Ports,
    asked: &Asked<'_>,
    request: &Request,
) -> Result<String, Failure> {
    let run = asked.run;
    let key = keys::incident(&Incident::id_of(&run.run));
    let (state, incident) = futures::join!(ports.state(), ports.read::<Incident>(&key));
    let (state, incident) = (state?, incident?);
    let (judged, target) = futures::join!(
        ports.judgement(asked.plan, run.from),
        ports.judgement(asked.plan, run.target)
    );
    let (judged, target) = (judged?, target?);
    let known = Automatic {
        asked,
        request,
        incident: incident.as_ref(),
        judged: &judged,
        target: &target,
        state: &state,
    };
    let why = match may_approve(known, ports.now()) {
        Ok(why) => why,
        Err(against) => {
            return Ok(format!(
                "waiting for a decision; the plan does not approve by itself: {}",
                against.join("; ")
            ));
        }
    };
    let wish = Wish {
        decision: Choice::Approve,
        who: format!("automatic failover of plan {}", asked.plan.name),
        why,
        via: Door::Plan,
        accepted: Vec::new(),
    };
    let receipt = ports.record_decision(&request.id, wish).await?;
    Ok(match receipt {
        Some(Receipt::Recorded { .. }) => "the plan has approved by itself".to_owned(),
        // A person was faster, or the request is gone: the next look says so.
        _ => "waiting for a decision".to_owned(),
    })
}
