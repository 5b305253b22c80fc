//! A state store that fails at one request, or lets others in between any two.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws::Failure;
use aws::store::{Store, Stored, Tag, Written};
use recovery::failure::FailureName;
use tokio::sync::Notify;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The function dies before the request.
    DiesBefore,
    /// The request has its effect, and the function dies.
    DiesAfter,
    /// The request is lost.
    LostRequest,
    /// The request has its effect, and its answer is lost.
    LostAnswer,
    /// Somebody else does a whole work before the request.
    Interrupted,
    /// The request has its effect, and the answer says that another writer was faster: S3 does so when it repeated the request itself.
    ConflictAfter,
    /// Nothing fails, but whoever waits has a turn, so many times.
    Yields(usize),
}

/// What runs before one request.
type Turn = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The store.
pub struct Faulty {
    inner: Arc<dyn Store>,
    fault: Fault,
    /// The fault happens at this request, from 0.
    at: usize,
    requests: AtomicUsize,
    /// Runs whole before the request at which the fault happens.
    turn: Mutex<Option<Turn>>,
    /// Told when the function is to die.
    pub dies: Notify,
    /// What was written and answered: key and content.
    pub acknowledged: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Faulty {
    /// A store with this fault at this request, from 0.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, fault: Fault, at: usize) -> Arc<Self> {
        Arc::new(Self {
            inner,
            fault,
            at,
            requests: AtomicUsize::new(0),
            turn: Mutex::default(),
            dies: Notify::new(),
            acknowledged: Mutex::default(),
        })
    }

    /// A store that lets somebody else do a whole work before this request, from 0.
    #[must_use]
    pub fn interrupted(
        inner: Arc<dyn Store>,
        at: usize,
        turn: impl Future<Output = ()> + Send + 'static,
    ) -> Arc<Self> {
        let store = Self::new(inner, Fault::Interrupted, at);
        *store.turn.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(turn));
        store
    }

    /// Whether the request at which the fault happens was made.
    #[must_use]
    pub fn happened(&self) -> bool {
        self.requests.load(Ordering::SeqCst) > self.at
    }

    async fn request<R>(
        &self,
        work: impl Future<Output = Result<R, Failure>>,
    ) -> Result<R, Failure> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let lost = |what| Failure::new(FailureName::Transient, what);
        match self.fault {
            Fault::Yields(turns) => {
                for _ in 0..(number * 7 + turns * 13) % (turns + 2) {
                    tokio::task::yield_now().await;
                }
                work.await
            }
            _ if number != self.at => work.await,
            Fault::Interrupted => {
                let turn = self
                    .turn
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                if let Some(turn) = turn {
                    turn.await;
                }
                work.await
            }
            Fault::ConflictAfter => work.await,
            Fault::DiesBefore => {
                self.dies.notify_one();
                std::future::pending().await
            }
            Fault::DiesAfter => {
                drop(work.await);
                self.dies.notify_one();
                std::future::pending().await
            }
            Fault::LostRequest => Err(lost("the request was lost")),
            Fault::LostAnswer => {
                drop(work.await);
                Err(lost("the answer was lost"))
            }
        }
    }

    /// 412 after the effect.
    fn answer(&self, number: usize, written: Written) -> Written {
        if self.fault == Fault::ConflictAfter && number == self.at {
            Written::Conflict
        } else {
            written
        }
    }

    fn note(&self, key: &str, bytes: &[u8], written: Written) -> Written {
        if written == Written::Done {
            let entry = (key.to_owned(), bytes.to_vec());
            self.acknowledged
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(entry);
        }
        written
    }
}

#[async_trait]
impl Store for Faulty {
    async fn get(&self, key: &str) -> Result<Option<Stored>, Failure> {
        self.request(self.inner.get(key)).await
    }

    async fn create(&self, key: &str, bytes: Vec<u8>) -> Result<Written, Failure> {
        let number = self.requests.load(Ordering::SeqCst);
        let written = self.request(self.inner.create(key, bytes.clone())).await?;
        Ok(self.answer(number, self.note(key, &bytes, written)))
    }

    async fn replace(&self, key: &str, bytes: Vec<u8>, read: &Tag) -> Result<Written, Failure> {
        let work = self.inner.replace(key, bytes.clone(), read);
        let number = self.requests.load(Ordering::SeqCst);
        let written = self.request(work).await?;
        Ok(self.answer(number, self.note(key, &bytes, written)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        self.request(self.inner.list(prefix)).await
    }
}
