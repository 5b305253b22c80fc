//! The running simulator: what its requests share, its task and its tick.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api;
use crate::api::auth::Access;
use crate::clock::Clock;
use crate::engine::World;
use crate::error::SimError;
use crate::faults::Faults;
use crate::limits::Limits;
use crate::options::SimOptions;
use crate::record::Recording;
use crate::socket::{Door, Wire, bind};

/// How often the platform moves on by itself, in real time.
const TICK: Duration = Duration::from_millis(20);
/// Ticks between two flushes of the recording.
const FLUSH_TICKS: u32 = 40;
/// How long a stop waits for requests in progress.
const FAREWELL: Duration = Duration::from_secs(2);
/// The largest request body which is read.
pub(crate) const MAX_BODY: usize = 64 << 20;

/// What all requests share.
pub(crate) struct Sim {
    world: Mutex<World>,
    faults: Mutex<Faults>,
    limits: Mutex<Limits>,
    access: Mutex<Access>,
    pub(crate) recording: Recording,
    pub(crate) rate_limits: bool,
    pub(crate) workspace_id: u64,
    pub(crate) dark: watch::Sender<bool>,
    /// Counts how often the fault rules were cleared.
    pub(crate) cleared: watch::Sender<u64>,
    pub(crate) stopping: watch::Sender<bool>,
}

pub(crate) type Shared = Arc<Sim>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere must not take the whole simulator with it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sim {
    /// The world, moved on to the present.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = lock(&self.world);
        world.advance();
        world
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn access(&self) -> MutexGuard<'_, Access> {
        lock(&self.access)
    }

    /// Waits until the simulator stops.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    pub(crate) fn limits(&self) -> MutexGuard<'_, Limits> {
        lock(&self.limits)
    }

    pub(crate) fn is_dark(&self) -> bool {
        *self.dark.borrow()
    }

    /// Waits until the site is lit, then ends the connection.
    pub(crate) async fn hang_in_the_dark(&self, wire: &Wire) -> Response {
        let mut dark = self.dark.subscribe();
        tokio::select! {
            _ = dark.wait_for(|dark| !*dark) => {}
            () = self.stopped() => {}
        }
        broken(wire)
    }

    /// Waits until the fault rules are cleared, then ends the connection.
    pub(crate) async fn hang(&self, wire: &Wire) -> Response {
        let mut cleared = self.cleared.subscribe();
        tokio::select! {
            _ = cleared.changed() => {}
            () = self.stopped() => {}
        }
        broken(wire)
    }
}

/// No answer: the connection is reset as soon as this one would be written.
pub(crate) fn broken(wire: &Wire) -> Response {
    wire.doom();
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// A simulated workspace which is up and serving.
pub struct Simulator {
    address: SocketAddr,
    sim: Shared,
    server: JoinHandle<()>,
    ticker: JoinHandle<()>,
}

impl Simulator {
    /// Starts a workspace; it serves when this returns.
    ///
    /// # Errors
    /// An address that is not loopback or is taken, a time scale that is not positive, a recording
    /// that cannot be written.
    pub async fn start(options: SimOptions) -> Result<Self, SimError> {
        if !(options.time_scale.is_finite() && options.time_scale > 0.0) {
            return Err(SimError::TimeScale(options.time_scale));
        }
        let listener = bind(options.listen).await?;
        let address = listener.local_addr().map_err(|source| SimError::Listen {
            address: options.listen,
            source,
        })?;
        let recording = Recording::open(options.record.as_deref())?;
        let clock = Clock::start(options.time_scale);
        let world = World::new(
            &options.inventory,
            clock,
            options.delays,
            options.workspace_id,
        );
        let sim = Arc::new(Sim {
            world: Mutex::new(world),
            faults: Mutex::default(),
            limits: Mutex::new(Limits::new(options.rate_scale)),
            access: Mutex::default(),
            recording,
            rate_limits: options.rate_limits,
            workspace_id: options.workspace_id,
            dark: watch::channel(false).0,
            cleared: watch::channel(0).0,
            stopping: watch::channel(false).0,
        });
        let service = api::router(sim.clone()).into_make_service_with_connect_info::<Wire>();
        let ending = sim.clone();
        let server = tokio::spawn(async move {
            let serving = axum::serve(Door(listener), service);
            let _ = serving
                .with_graceful_shutdown(async move { ending.stopped().await })
                .await;
        });
        let ticking = sim.clone();
        let ticker = tokio::spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            let mut ticks: u32 = 0;
            loop {
                interval.tick().await;
                drop(ticking.world());
                ticks = ticks.wrapping_add(1);
                if ticks.is_multiple_of(FLUSH_TICKS) {
                    ticking.recording.flush();
                }
            }
        });
        Ok(Self {
            address,
            sim,
            server,
            ticker,
        })
    }

    /// The address of the workspace, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the workspace; the recording is complete when this returns.
    pub async fn stop(mut self) {
        self.sim.stopping.send_replace(true);
        if tokio::time::timeout(FAREWELL, &mut self.server)
            .await
            .is_err()
        {
            self.server.abort();
        }
        self.ticker.abort();
        self.sim.recording.flush();
    }
}
