//! The documents of the store, typed: one way to read and one way to change each.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use recovery::failure::FailureName;
use recovery::ledger::{Entry, LEDGER_FORMAT, Page, ReadPage};
use recovery::plan::Plan;
use recovery::run::{RunDocument, Stage};
use recovery::signals::Signals;
use recovery::site::{RunId, RunToken, SiteLabel};
use recovery::state::{LARGEST_STATE, Refusal, State};
use recovery::verdict::{Judgement, Observation, judge};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::formats::{keep_unknown, require_known_format};
use crate::store::{Stored, Written};
use crate::{Failure, Ports, keys};

/// How often a lost compare-and-swap is tried again before the state machine does.
const SWAP_ATTEMPTS: u32 = 8;
/// The longest wait after the first lost compare-and-swap.
const FIRST_SWAP_WAIT_MS: u64 = 20;
/// Ledger pages read at once: a large fence has hundreds.
const PAGES_AT_ONCE: usize = 16;

/// What a change of a document leads to.
pub enum Change<R> {
    /// Write the document.
    Write(R),
    /// Nothing to write.
    Keep(R),
}

impl Ports {
    /// Reads a document; `None` if there is none.
    ///
    /// # Errors
    /// `StateCorrupt` if it cannot be understood, or what the store said.
    pub async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Failure> {
        match self.store.get(key).await? {
            Some(stored) => decode(key, &stored.bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Writes a document that must not exist yet. Says whether it was written.
    ///
    /// # Errors
    /// What the store said.
    pub async fn create<T: Serialize + Sync>(
        &self,
        key: &str,
        document: &T,
    ) -> Result<Written, Failure> {
        self.store.create(key, encode(document)?).await
    }

    /// Changes a document by compare-and-swap: `change` sees the newest version, as often as another writer is faster.
    ///
    /// # Errors
    /// What `change` refused, `Conflict`, or what the store said.
    pub async fn change<T, R>(
        &self,
        key: &str,
        mut change: impl FnMut(&mut Option<T>) -> Result<Change<R>, Failure> + Send,
    ) -> Result<R, Failure>
    where
        T: DeserializeOwned + Serialize + Send + Sync,
        R: Send,
    {
        for attempt in 0..SWAP_ATTEMPTS {
            let stored: Option<Stored> = self.store.get(key).await?;
            let mut document: Option<T> = match &stored {
                Some(stored) => Some(decode(key, &stored.bytes)?),
                None => None,
            };
            let before = match &document {
                Some(document) => to_value(document)?,
                None => Value::Null,
            };
            let result = match change(&mut document)? {
                Change::Keep(result) => return Ok(result),
                Change::Write(result) => result,
            };
            let Some(document) = document else {
                return Err(Failure::internal(format!("nothing to write at {key}")));
            };
            let bytes = encode_over(stored.as_ref(), &before, &document)?;
            let written = match &stored {
                Some(stored) => self.store.replace(key, bytes, &stored.tag).await?,
                None => self.store.create(key, bytes).await?,
            };
            if written == Written::Done {
                return Ok(result);
            }
            self.wait_before_swap(attempt).await?;
        }
        Err(conflict(key))
    }

    /// Overwrites a document that only this function writes.
    ///
    /// # Errors
    /// `Conflict`, or what the store said.
    pub async fn put<T: Serialize + DeserializeOwned + Clone + Send + Sync>(
        &self,
        key: &str,
        document: &T,
    ) -> Result<(), Failure> {
        self.change(key, |stored: &mut Option<serde_json::Value>| {
            *stored =
                Some(serde_json::to_value(document).map_err(|e| Failure::internal(e.to_string()))?);
            Ok(Change::Write(()))
        })
        .await
    }

    /// Writes a text for people, replacing what was there.
    ///
    /// # Errors
    /// `Conflict`, or what the store said.
    pub async fn put_text(&self, key: &str, text: &str) -> Result<(), Failure> {
        for _ in 0..SWAP_ATTEMPTS {
            let bytes = text.as_bytes().to_vec();
            let written = match self.store.get(key).await? {
                Some(stored) => self.store.replace(key, bytes, &stored.tag).await?,
                None => self.store.create(key, bytes).await?,
            };
            if written == Written::Done {
                return Ok(());
            }
        }
        Err(conflict(key))
    }

    /// The plan, checked.
    ///
    /// # Errors
    /// `InvalidPlan` with every problem.
    pub async fn plan(&self) -> Result<Plan, Failure> {
        let stored = self.store.get(keys::PLAN).await?.ok_or_else(|| {
            Failure::new(
                FailureName::InvalidPlan,
                "there is no plan.json in the state bucket; upload one",
            )
        })?;
        let plan = Plan::parse(&stored.bytes)?.with_safe_waits(self.is_local);
        if plan.name != self.plan_name {
            return Err(Failure::new(
                FailureName::InvalidPlan,
                format!(
                    "name: is {:?}; this stack serves {:?}",
                    plan.name.as_str(),
                    self.plan_name.as_str()
                ),
            ));
        }
        Ok(plan)
    }

    /// The state. A plan that never failed over has the initial one.
    ///
    /// # Errors
    /// `StateCorrupt`, or what the store said.
    pub async fn state(&self) -> Result<State, Failure> {
        let stored = self.store.get(keys::STATE).await?;
        self.state_of(stored.as_ref())
    }

    /// The state in this document. Nothing takes the place of one that is missing: that would make the primary the active site, whatever
    /// the sites do.
    fn state_of(&self, stored: Option<&Stored>) -> Result<State, Failure> {
        let corrupt = |why: String| Failure::new(FailureName::StateCorrupt, why);
        let Some(stored) = stored else {
            return Err(corrupt(format!(
                "there is no {}; a new stack gets its first one from operate `create-state`; if this plan had one, restore its newest version",
                keys::STATE
            )));
        };
        let state: State = decode(keys::STATE, &stored.bytes)?;
        if state.plan != self.plan_name {
            return Err(corrupt(format!(
                "{} is that of plan {:?}; this stack serves {:?}",
                keys::STATE,
                state.plan.as_str(),
                self.plan_name.as_str()
            )));
        }
        Ok(state)
    }

    /// One transition of the state. Its write carries a name, so that a conflict with our own earlier write, whose answer was lost, is
    /// recognised and not done twice.
    ///
    /// # Errors
    /// The refusal of the transition, `Conflict`, `Internal` if the state would grow beyond [`LARGEST_STATE`], or what the store said.
    pub async fn change_state<R: Send>(
        &self,
        mut change: impl FnMut(&mut State) -> Result<R, Refusal> + Send,
    ) -> Result<R, Failure> {
        let swap = format!("{:032x}", self.random_bits()?);
        let mut ours: Option<R> = None;
        for attempt in 0..SWAP_ATTEMPTS {
            let stored = self.store.get(keys::STATE).await?;
            let before = self.state_of(stored.as_ref())?;
            if before.swap.as_ref() == Some(&swap)
                && let Some(result) = ours.take()
            {
                return Ok(result);
            }
            let mut state = before.clone();
            let result = change(&mut state)?;
            if before == state {
                return Ok(result);
            }
            state.swap = Some(swap.clone());
            let bytes = encode_over(stored.as_ref(), &before, &state)?;
            if bytes.len() > LARGEST_STATE {
                return Err(Failure::internal(format!(
                    "{} would be {} bytes, above its bound of {LARGEST_STATE}; nothing was changed",
                    keys::STATE,
                    bytes.len()
                )));
            }
            let written = match &stored {
                Some(stored) => self.store.replace(keys::STATE, bytes, &stored.tag).await?,
                None => self.store.create(keys::STATE, bytes).await?,
            };
            if written == Written::Done {
                return Ok(result);
            }
            ours = Some(result);
            self.wait_before_swap(attempt).await?;
        }
        Err(conflict(keys::STATE))
    }

    /// Writers that were refused together do not come back together: between nothing and 20 ms, twice as long each time.
    async fn wait_before_swap(&self, attempt: u32) -> Result<(), Failure> {
        let longest = FIRST_SWAP_WAIT_MS << attempt.min(5);
        let wait = u64::try_from(self.random_bits()? % u128::from(longest)).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        Ok(())
    }

    /// Stops a function whose execution no longer holds the lock. To be called before each batch of work.
    ///
    /// # Errors
    /// `LockLost`.
    pub async fn require_lock(&self, run: &RunId, token: &RunToken) -> Result<State, Failure> {
        let state = self.state().await?;
        state.require_lock(run, token)?;
        Ok(state)
    }

    /// A run's document.
    ///
    /// # Errors
    /// `InvalidEvent` if there is no such run.
    pub async fn run(&self, run: &RunId) -> Result<RunDocument, Failure> {
        self.read(&keys::of_run(run, "run.json"))
            .await?
            .ok_or_else(|| {
                Failure::new(
                    FailureName::InvalidEvent,
                    format!("there is no run {run}; see runs/ in the state bucket"),
                )
            })
    }

    /// Changes a run's document.
    ///
    /// # Errors
    /// `InvalidEvent` if there is no such run, `Conflict`, or what the store said.
    pub async fn change_run<R: Send>(
        &self,
        run: &RunId,
        mut change: impl FnMut(&mut RunDocument) -> R + Send,
    ) -> Result<R, Failure> {
        self.change(
            &keys::of_run(run, "run.json"),
            |stored: &mut Option<RunDocument>| {
                let document = stored.as_mut().ok_or_else(|| {
                    Failure::new(FailureName::InvalidEvent, format!("there is no run {run}"))
                })?;
                let before = document.clone();
                let result = change(document);
                Ok(if before == *document {
                    Change::Keep(result)
                } else {
                    Change::Write(result)
                })
            },
        )
        .await
    }

    /// Notes that this execution enters a stage of its run. A zombie may not.
    ///
    /// # Errors
    /// `LockLost`, `InvalidEvent` if there is no such run, `Conflict`, or what the store said.
    pub async fn enter(
        &self,
        run: &RunId,
        token: &RunToken,
        stage: Stage,
    ) -> Result<RunDocument, Failure> {
        let now = self.now();
        self.change_own_run(run, token, |d| {
            d.enter(stage, now);
            d.clone()
        })
        .await
    }

    /// Notes that a stage of this execution's run is done.
    ///
    /// # Errors
    /// As [`Ports::enter`].
    pub async fn finish(&self, run: &RunId, token: &RunToken, stage: Stage) -> Result<(), Failure> {
        let now = self.now();
        self.change_own_run(run, token, |d| d.finish(stage, now))
            .await
    }

    /// Changes a run's document as the execution that acts for it.
    ///
    /// # Errors
    /// `LockLost` if another execution acts for it now, else as [`Ports::change_run`].
    pub async fn change_own_run<R: Send>(
        &self,
        run: &RunId,
        token: &RunToken,
        mut change: impl FnMut(&mut RunDocument) -> R + Send,
    ) -> Result<R, Failure> {
        // The state alone says who acts for a run; `run.json` may be behind it.
        self.require_lock(run, token).await?;
        self.change_run(run, |d| (d.token == *token).then(|| change(d)))
            .await?
            .ok_or_else(|| Refusal::LockLost { run: run.clone() }.into())
    }

    /// Adds a page to the ledger. Pages are never changed; the key holds the time and the invocation, so two passes at
    /// once write two pages.
    ///
    /// # Errors
    /// What the store said.
    pub async fn add_to_ledger(
        &self,
        run: &RunId,
        site: SiteLabel,
        stage: &str,
        request_id: &str,
        entries: Vec<Entry>,
    ) -> Result<(), Failure> {
        if entries.is_empty() {
            return Ok(());
        }
        let page = Page {
            format_version: LEDGER_FORMAT,
            run: run.clone(),
            site,
            stage: stage.to_owned(),
            entries,
        };
        for number in 0..SWAP_ATTEMPTS {
            let now = self.now().as_millisecond();
            let key = keys::of_run(
                run,
                &format!("ledger/{stage}/{now:015}-{request_id}-{number}.json"),
            );
            if self.create(&key, &page).await? == Written::Done {
                return Ok(());
            }
        }
        Err(Failure::internal("a ledger page found no free key"))
    }

    /// Every page of a run's ledger, in order of the keys.
    ///
    /// # Errors
    /// `StateCorrupt`, or what the store said.
    pub async fn ledger(&self, run: &RunId) -> Result<Vec<ReadPage>, Failure> {
        self.ledger_under(run, "ledger/").await
    }

    /// The pages of one stage of a run's ledger, in order of the keys.
    ///
    /// # Errors
    /// As [`Ports::ledger`].
    pub async fn ledger_of(&self, run: &RunId, stage: &str) -> Result<Vec<ReadPage>, Failure> {
        self.ledger_under(run, &format!("ledger/{stage}/")).await
    }

    async fn ledger_under(&self, run: &RunId, prefix: &str) -> Result<Vec<ReadPage>, Failure> {
        let keys = self.store.list(&keys::of_run(run, prefix)).await?;
        let pages: Vec<Option<ReadPage>> = stream::iter(keys)
            .map(|key| async move { self.read::<ReadPage>(&key).await })
            .buffered(PAGES_AT_ONCE)
            .try_collect()
            .await?;
        Ok(pages.into_iter().flatten().collect())
    }

    /// The fresh and older observations of one site by every vantage of the plan. A vantage that never reported has none.
    ///
    /// # Errors
    /// `StateCorrupt`, or what the store said.
    pub async fn observations(
        &self,
        plan: &Plan,
        site: SiteLabel,
    ) -> Result<Vec<Observation>, Failure> {
        let mut observations = Vec::new();
        for vantage in &plan.detection.vantages {
            let signals: Option<Signals> = self.read(&keys::signals(vantage.as_str())).await?;
            observations.extend(
                signals
                    .into_iter()
                    .flat_map(|s| s.observations)
                    .filter(|o| o.site == site),
            );
        }
        Ok(observations)
    }

    /// The judgement on one site now.
    ///
    /// # Errors
    /// As [`Ports::observations`].
    pub async fn judgement(&self, plan: &Plan, site: SiteLabel) -> Result<Judgement, Failure> {
        let observations = self.observations(plan, site).await?;
        judge(&observations, &plan.detection.policy, self.now()).map_err(|e| {
            Failure::new(
                FailureName::StateCorrupt,
                format!("the stored signals cannot be judged: {e}"),
            )
        })
    }
}

fn conflict(key: &str) -> Failure {
    Failure::new(
        FailureName::Conflict,
        format!("{key} was changed by others {SWAP_ATTEMPTS} times in a row; try again"),
    )
}

fn to_value<T: Serialize>(document: &T) -> Result<Value, Failure> {
    serde_json::to_value(document)
        .map_err(|e| Failure::internal(format!("encoding a document: {e}")))
}

/// The bytes of a changed document; what a newer writer of the same version has added to the stored one stays.
fn encode_over<T: Serialize, B: Serialize>(
    stored: Option<&Stored>,
    before: &B,
    document: &T,
) -> Result<Vec<u8>, Failure> {
    let Some(stored) = stored else {
        return encode(document);
    };
    let raw: Value = serde_json::from_slice(&stored.bytes)
        .map_err(|e| Failure::internal(format!("reading a document again: {e}")))?;
    encode(&keep_unknown(&raw, &to_value(before)?, to_value(document)?))
}

pub(crate) fn encode<T: Serialize>(document: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec_pretty(document)
        .map_err(|e| Failure::internal(format!("encoding a document: {e}")))
}

pub(crate) fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Failure> {
    require_known_format(key, bytes)?;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        Failure::new(
            FailureName::StateCorrupt,
            format!(
                "{key} cannot be read by this version, at {}: {}",
                error.path(),
                error.inner()
            ),
        )
    })
}
