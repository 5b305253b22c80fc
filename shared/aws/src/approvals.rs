//! Requests and decisions in the store: one way to find a request by its id, one way to record a decision, for every door.

use jiff::Timestamp;
use recovery::approval::{
    Address, ApprovalId, Decisions, End, Question, Receipt, Request, Standing, View, Views, Wish,
    record, standing,
};
use recovery::run::RunDocument;
use recovery::site::RunId;

use crate::documents::Change;
use crate::store::Written;
use crate::{Failure, Ports, keys};

/// A request with everything that says what may be done with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    /// The newest request of its question. Its id is another one if what was looked for is [`Standing::Replaced`].
    pub request: Request,
    /// What was decided on the request that was looked for.
    pub decisions: Option<Decisions>,
    /// Its run.
    pub run: RunDocument,
    /// Whether somebody waits for the answer.
    pub standing: Standing,
}

impl Approval {
    /// Whether a decision could still count.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.standing == Standing::Open && now < self.request.expires_at && self.end().is_none()
    }

    /// How the request ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.decisions.as_ref().and_then(Decisions::end)
    }
}

impl Ports {
    /// The newest request of a question.
    ///
    /// # Errors
    /// `StateCorrupt`, or what the store said.
    pub async fn request(
        &self,
        run: &RunId,
        question: &Question,
    ) -> Result<Option<Request>, Failure> {
        self.read(&keys::request(run, question)).await
    }

    /// The newest request of every question of a run.
    ///
    /// # Errors
    /// `StateCorrupt`, or what the store said.
    pub async fn requests(&self, run: &RunId) -> Result<Vec<Request>, Failure> {
        self.read_all(&keys::of_run(run, "approvals/")).await
    }

    /// The decisions on a request, if there are any.
    ///
    /// # Errors
    /// `StateCorrupt`, or what the store said.
    pub async fn decisions_on(&self, request: &Request) -> Result<Option<Decisions>, Failure> {
        self.read(&keys::decisions(&request.run, &request.id)).await
    }

    /// Finds a request by its id; `None` if there never was one, or its run is gone from the store.
    ///
    /// # Errors
    /// `StateCorrupt`, or what the store said.
    pub async fn approval(&self, id: &ApprovalId) -> Result<Option<Approval>, Failure> {
        let Some(address) = self.read::<Address>(&keys::address(id)).await? else {
            return Ok(None);
        };
        let Some(request) = self.request(&address.run, &address.question).await? else {
            return Ok(None);
        };
        let run: Option<RunDocument> = self.read(&keys::of_run(&address.run, "run.json")).await?;
        let Some(run) = run else {
            return Ok(None);
        };
        let state = self.state().await?;
        let decisions = self.read(&keys::decisions(&address.run, id)).await?;
        Ok(Some(Approval {
            standing: standing(id, &request, &run, &state),
            request,
            decisions,
            run,
        }))
    }

    /// Opens a request: first the document that leads to it, so that its link works when the message arrives. `read` is the
    /// request that was seen before, if any: if another writer was faster, nothing is written. Says whether it was.
    ///
    /// # Errors
    /// What the store said.
    pub async fn open_request(
        &self,
        request: &Request,
        read: Option<&Request>,
    ) -> Result<bool, Failure> {
        // The id is random: a conflict is a repeat of this very call.
        let _: Written = self
            .create(&keys::address(&request.id), &request.address())
            .await?;
        self.note_request(request, read).await
    }

    /// Replaces a request by its newer version, unless another writer was faster. Says whether it did.
    ///
    /// # Errors
    /// What the store said.
    pub async fn note_request(
        &self,
        request: &Request,
        read: Option<&Request>,
    ) -> Result<bool, Failure> {
        self.change(
            &keys::request(&request.run, &request.question),
            |stored: &mut Option<Request>| {
                if stored.as_ref() != read {
                    return Ok(Change::Keep(false));
                }
                *stored = Some(request.clone());
                Ok(Change::Write(true))
            },
        )
        .await
    }

    /// Records a decision by compare-and-swap: however many arrive at once, exactly as many count as the request needs. `None`: there is no
    /// such request.
    ///
    /// # Errors
    /// `StateCorrupt`, `Conflict`, or what the store said. Nothing is recorded then.
    pub async fn record_decision(
        &self,
        id: &ApprovalId,
        wish: Wish,
    ) -> Result<Option<Receipt>, Failure> {
        let Some(approval) = self.approval(id).await? else {
            return Ok(None);
        };
        let request = &approval.request;
        let receipt = self
            .change(
                &keys::decisions(&request.run, id),
                |stored: &mut Option<Decisions>| {
                    let mut decisions = stored.clone().unwrap_or_else(|| Decisions::none(request));
                    let receipt = record(
                        request,
                        &mut decisions,
                        &approval.standing,
                        wish.clone(),
                        self.now(),
                    );
                    Ok(match receipt {
                        Receipt::Recorded { .. } => {
                            *stored = Some(decisions);
                            Change::Write(receipt)
                        }
                        other => Change::Keep(other),
                    })
                },
            )
            .await?;
        Ok(Some(receipt))
    }

    /// Notes that somebody looked at a request by a valid link.
    ///
    /// # Errors
    /// `Conflict`, or what the store said. A view that cannot be noted must not keep anybody from deciding.
    pub async fn record_view(
        &self,
        run: &RunId,
        id: &ApprovalId,
        view: View,
    ) -> Result<(), Failure> {
        self.change(&keys::views(run, id), |stored: &mut Option<Views>| {
            stored
                .get_or_insert_with(|| Views::none(run.clone(), id.clone()))
                .add(view.clone());
            Ok(Change::Write(()))
        })
        .await
    }

    /// All decisions of a run, in the order of the requests' ids.
    ///
    /// # Errors
    /// `StateCorrupt`, or what the store said.
    pub async fn decisions(&self, run: &RunId) -> Result<Vec<Decisions>, Failure> {
        self.read_all(&keys::of_run(run, "decisions/")).await
    }

    /// All views of a run.
    ///
    /// # Errors
    /// `StateCorrupt`, or what the store said.
    pub async fn views(&self, run: &RunId) -> Result<Vec<Views>, Failure> {
        self.read_all(&keys::of_run(run, "views/")).await
    }

    async fn read_all<T: serde::de::DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        for key in self.store.list(prefix).await? {
            all.extend(self.read::<T>(&key).await?);
        }
        Ok(all)
    }
}
