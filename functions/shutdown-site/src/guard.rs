//! By what right a pass acts: asked again at least every few seconds, so that a zombie does not act.

use std::time::{Duration, Instant};

use aws::{Failure, Ports};
use jiff::SignedDuration;
use recovery::run::Stage;
use recovery::site::{RunId, RunToken, SiteLabel};
use recovery::state::{Refusal, State};
use tokio::sync::Mutex;

/// How old an answer about the right may be.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// A pass that was killed is believed to work for so long.
const LEASE: SignedDuration = SignedDuration::from_secs(20);

/// By what right a pass acts.
#[derive(Clone, Debug)]
pub(crate) enum Right {
    /// The run holds the lock.
    Run(RunToken),
    /// A fence stands.
    StandingFence,
}

/// Why a pass ends before its work does.
#[derive(Clone, Debug)]
pub(crate) enum Halt {
    /// Others go on, or nothing is to be done any more.
    GiveWay(String),
    /// It failed.
    Failed(Failure),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Asks for the right, and keeps other passes and operators waiting meanwhile.
pub(crate) struct Guard<'a> {
    ports: &'a Ports,
    site: SiteLabel,
    run: RunId,
    right: Right,
    request: String,
    checked: Mutex<Option<Instant>>,
}

impl<'a> Guard<'a> {
    pub(crate) fn new(
        ports: &'a Ports,
        site: SiteLabel,
        run: RunId,
        right: Right,
        request: &str,
    ) -> Self {
        Self {
            ports,
            site,
            run,
            right,
            request: request.to_owned(),
            checked: Mutex::new(None),
        }
    }

    /// Whether this state still gives the pass its right: asked within every swap that writes what the pass found.
    pub(crate) fn require_right(&self, state: &State) -> Result<(), Refusal> {
        match &self.right {
            Right::Run(token) => state.require_lock(&self.run, token),
            Right::StandingFence => Ok(()),
        }
    }

    /// Whether this pass may act now.
    pub(crate) async fn require(&self) -> Result<(), Halt> {
        let mut checked = self.checked.lock().await;
        if checked.is_some_and(|at| at.elapsed() < CHECK_EVERY) {
            return Ok(());
        }
        let now = self.ports.now();
        let others = self
            .ports
            .change_state(|state| {
                self.require_right(state)?;
                match state.hold_pass(self.site, &self.request, now, now + LEASE) {
                    Ok(()) => Ok(None),
                    Err(
                        why @ (Refusal::PassUnderWay { .. }
                        | Refusal::Lifting { .. }
                        | Refusal::NoFence { .. }),
                    ) => Ok(Some(why.to_string())),
                    Err(other) => Err(other),
                }
            })
            .await?;
        if let Some(words) = others {
            return Err(Halt::GiveWay(words));
        }
        if matches!(self.right, Right::StandingFence)
            && is_fenced_by_a_run(self.ports, &self.ports.state().await?, self.site).await
        {
            return Err(Halt::GiveWay("a run fences this site itself".to_owned()));
        }
        *checked = Some(Instant::now());
        Ok(())
    }

    /// Does something as long as this pass may act; dropped when it may not. The client repeats by itself for longer than a zombie
    /// may live.
    pub(crate) async fn during<R>(&self, act: impl Future<Output = R>) -> Result<R, Halt> {
        let mut act = std::pin::pin!(act);
        loop {
            self.require().await?;
            if let Ok(done) = tokio::time::timeout(CHECK_EVERY, &mut act).await {
                return Ok(done);
            }
        }
    }

    /// The pass is over: others may begin, and the fence may be lifted.
    pub(crate) async fn release(&self) -> Result<(), Failure> {
        self.ports
            .change_state(|state| {
                state.end_pass(self.site, &self.request);
                Ok(())
            })
            .await
    }
}

/// Only while a run is at this very fence does it need no watch: two passes at once do no harm, but twice the requests.
/// While the run waits for what the quiet site wrote last it does not read the site itself, nor between its fence and its commit: then the
/// watch goes on, since something may wake.
pub(crate) async fn is_fenced_by_a_run(ports: &Ports, state: &State, site: SiteLabel) -> bool {
    match &state.lock {
        Some(lock) => ports.run(&lock.run).await.is_ok_and(|run| {
            run.from == site && run.is_in(Stage::Fence) && !run.is_in(Stage::Drain)
        }),
        None => false,
    }
}
