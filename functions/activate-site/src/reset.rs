//! A site is brought back to what was recorded of it, by an operator's order.

use std::fmt::Write as _;
use std::time::Duration;

use aws::notices::{Audience, Notice};
use aws::{Failure, Invocation, Ports};
use databricks::{Workspace, Writer};
use futures::FutureExt;
use recovery::activation::{Aim, PhaseWork, Record, work};
use recovery::failure::FailureName;
use recovery::fence::still_live;
use recovery::inventory::Subject;
use recovery::kind::Kind;
use recovery::plan::Plan;
use recovery::reset::{Reset, gone, phases};
use recovery::site::SiteLabel;
use recovery::state::Refusal;
use sites::{Depth, Purpose, Role, connect, failure_at, read_inventory};

use crate::LOOK_AGAIN;
use crate::effort::{Effort, Right};

/// Names in one list of a notice.
const LONGEST_LIST: usize = 50;
/// What is under way when time is up may end, so that its answers reach the ledger.
const GRACE: Duration = Duration::from_secs(8);

/// How a pass ended.
enum End {
    /// A reading shows no difference. With the runs that are active there.
    AsRecorded(Vec<Subject>),
    /// All is done that can be, but these are no longer there.
    Gone(Vec<Subject>),
    /// These differ still; none if time was up before that was known.
    Differs(Vec<Subject>),
}

/// One pass over every standing order, the standby first: what runs there is stopped before the active site begins.
pub(crate) async fn work_off(
    ports: &Ports,
    plan: &Plan,
    invocation: &Invocation,
) -> Result<String, Failure> {
    let state = ports.state().await?;
    let mut orders: Vec<&Reset> = state.resets.values().collect();
    orders.sort_by_key(|order| state.active_site == order.site);
    let (mut found, mut failure) = (Vec::new(), None);
    for order in orders {
        // A failure of one does not keep the other from its work.
        match work_on(ports, plan, order, invocation).await {
            Ok(worked) => found.push(worked.words(order.site)),
            Err(f) => failure = Some(f),
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    if found.is_empty() {
        return Ok("no order stands".to_owned());
    }
    Ok(found.join("; "))
}

/// What came of one pass over one order.
pub(crate) enum Worked {
    /// The site is as it was recorded; the order has ended.
    AsRecorded,
    /// The order has ended, and so many objects differ or are gone.
    Left(usize),
    /// So many objects differ still.
    Differs(usize),
    /// Another pass is at it, or a run has ended the order.
    GaveWay(String),
}

impl Worked {
    pub(crate) fn words(&self, site: SiteLabel) -> String {
        match self {
            Self::AsRecorded => format!("the {site} site is as it was recorded"),
            Self::Left(objects) => format!(
                "{objects} objects of the {site} site could not be brought back; a notice names them"
            ),
            Self::Differs(objects) => format!("{objects} objects of the {site} site differ still"),
            Self::GaveWay(why) => why.clone(),
        }
    }
}

/// One pass over one order.
pub(crate) async fn work_on(
    ports: &Ports,
    plan: &Plan,
    order: &Reset,
    invocation: &Invocation,
) -> Result<Worked, Failure> {
    let is_active = ports.state().await?.active_site == order.site;
    match pass(ports, plan, order, is_active, invocation).await {
        Ok(End::AsRecorded(runs)) => {
            // A run that goes on at a standby is nobody's to end here: it is told.
            let runs = if is_active { &[] } else { runs.as_slice() };
            notify_of_end(ports, order, &[], runs).await;
            end(ports, order, true).await?;
            Ok(Worked::AsRecorded)
        }
        Ok(End::Gone(gone)) => {
            notify_of_end(ports, order, &gone, &[]).await;
            end(ports, order, false).await?;
            Ok(Worked::Left(gone.len()))
        }
        Ok(End::Differs(left)) if is_late(ports, plan, order) => {
            notify_of_end(ports, order, &left, &[]).await;
            end(ports, order, false).await?;
            Ok(Worked::Left(left.len()))
        }
        Ok(End::Differs(left)) => {
            free(ports, invocation).await?;
            Ok(Worked::Differs(left.len()))
        }
        // A run has begun, or another pass is at it.
        Err(failure) if matches!(failure.name, FailureName::LockLost | FailureName::Blocked) => {
            Ok(Worked::GaveWay(failure.message))
        }
        Err(failure) => {
            free(ports, invocation).await?;
            Err(failure)
        }
    }
}

/// After as long as a run would try: each phase has this patience there.
fn is_late(ports: &Ports, plan: &Plan, order: &Reset) -> bool {
    let patience = plan.activation.give_up_after_seconds.signed();
    let phases = i32::try_from(phases(true).len()).unwrap_or(i32::MAX);
    order.is_late(ports.now(), patience * phases)
}

async fn pass(
    ports: &Ports,
    plan: &Plan,
    order: &Reset,
    is_active: bool,
    invocation: &Invocation,
) -> Result<End, Failure> {
    let (id, site) = (order.id.clone(), order.site);
    let stage = "Reset".to_owned();
    let mut effort = Effort::resume(ports, invocation, id, site, Right::Order, stage).await?;
    effort.require_right().await?;
    let recorded = ports.baseline(&order.record).await?.inventory;
    let state = ports.state().await?;
    let owed = state.debts.filter(|_| is_active && order.brings_up_owed);
    let owed = ports.readable_debts(owed.as_ref(), site).await?;
    let record = Record {
        inventory: &recorded,
        debts: &owed.debts,
    };
    let workspace = connect(ports, plan, site, Role::Operator, Purpose::Activation).await?;
    let writer = workspace
        .verified()
        .boxed()
        .await
        .map_err(|e| failure_at(site, &e))?;
    let working = until_as_recorded(
        &mut effort,
        plan,
        site,
        is_active,
        &workspace,
        &writer,
        record,
    );
    tokio::time::timeout(invocation.left() + GRACE, working)
        .await
        .unwrap_or_else(|_| Ok(End::Differs(vec![])))
}

async fn until_as_recorded(
    effort: &mut Effort<'_>,
    plan: &Plan,
    label: SiteLabel,
    is_active: bool,
    workspace: &Workspace,
    writer: &Writer,
    record: Record<'_>,
) -> Result<End, Failure> {
    let kinds: Vec<Kind> = plan.protected_kinds().collect();
    let waves = &plan.activation.waves;
    loop {
        effort.require_right().await?;
        let now = effort.ports.now();
        let site = read_inventory(workspace, label, &kinds, Depth::Whole, now)
            .await
            .map_err(|e| failure_at(label, &e))?;
        let works: Vec<PhaseWork> = phases(is_active)
            .into_iter()
            .map(|phase| work(phase, Aim::AsRecorded, &kinds, waves, record, &site))
            .collect();
        let whole = PhaseWork::of_all(&works);
        effort.list(&whole).await?;
        effort.verify(&site, &whole).await?;
        if whole.is_done() {
            let gone = gone(&kinds, record.inventory, &site);
            if !gone.is_empty() {
                return Ok(End::Gone(gone));
            }
            let live = still_live(&site, &kinds).into_iter();
            return Ok(End::AsRecorded(live.filter(|s| s.kind == "run").collect()));
        }
        // A phase waits until the one before it is done, what was refused for good aside.
        match works.iter().find(|work| effort.open(work) > 0) {
            Some(next) if !effort.invocation.is_over() => {
                let last_wave = next.first_wave(&effort.refused).unwrap_or(usize::MAX);
                effort.act(writer, next, last_wave).await?;
            }
            _ => return Ok(End::Differs(whole.unfinished())),
        }
        tokio::time::sleep(LOOK_AGAIN.div_f64(effort.ports.time_scale)).await;
    }
}

async fn end(ports: &Ports, order: &Reset, as_recorded: bool) -> Result<(), Failure> {
    ports
        .change_state(|state| match state.end_reset(&order.id, as_recorded) {
            // Ended already by a call whose answer was lost, or by a run that has begun.
            Ok(_) | Err(Refusal::NoReset { .. }) => Ok(()),
            Err(other) => Err(other),
        })
        .await
}

async fn free(ports: &Ports, invocation: &Invocation) -> Result<(), Failure> {
    ports
        .change_state(|state| {
            state.end_reset_pass(&invocation.request_id);
            Ok(())
        })
        .await
}

/// While SNS is down nobody is notified, and the order ends all the same: it would block every planned run.
async fn notify_of_end(ports: &Ports, order: &Reset, left: &[Subject], runs: &[Subject]) {
    let site = order.site;
    let result = if left.is_empty() {
        "is as it was recorded, by its own word"
    } else {
        "could not be brought back whole"
    };
    let mut message = format!(
        "The {site} site {result}.\nOrdered by {} at {}: {}\n",
        order.who, order.ordered_at, order.why
    );
    list(&mut message, "Still differ, or are gone", left);
    list(&mut message, "Runs that go on there", runs);
    let _ = write!(message, "\nLedger: runs/{}/ledger/Reset/\n", order.id);
    let notice = Notice {
        audience: Audience::Managers,
        subject: format!("[{}] reset: the {site} site {result}", ports.plan_name),
        message,
    };
    if let Err(failure) = ports.notices.publish(notice).await {
        tracing::error!(%failure, %site, result, "nobody was notified of the end of a reset");
    }
}

fn list(message: &mut String, title: &str, subjects: &[Subject]) {
    if subjects.is_empty() {
        return;
    }
    let _ = writeln!(message, "\n{title}: {}", subjects.len());
    for Subject { kind, id, name } in subjects.iter().take(LONGEST_LIST) {
        let _ = writeln!(message, "  {kind} {id} \"{name}\"");
    }
}
