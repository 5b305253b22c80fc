//! A control bucket that fails at one request, or lets others in between any two.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws::Failure;
use aws::store::{Store, Stored, Tag, Written};
use recovery::failure::FailureName;
use tokio::sync::Notify;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The function dies before the request.
    DiesBefore,
    /// The request has its effect, and the function dies.
    DiesAfter,
    /// The request is lost.
    LostRequest,
    /// The request has its effect, and its answer is lost.
    LostAnswer,
    /// Nothing fails, but whoever waits has a turn, so many times.
    Yields(usize),
}

/// The bucket.
pub(crate) struct Faulty {
    inner: Arc<dyn Store>,
    fault: Fault,
    /// The fault happens at this request, from 0.
    at: usize,
    requests: AtomicUsize,
    /// Told when the function is to die.
    pub(crate) dies: Notify,
    /// What was written and answered: key and content.
    pub(crate) acknowledged: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Faulty {
    pub(crate) fn new(inner: Arc<dyn Store>, fault: Fault, at: usize) -> Arc<Self> {
        Arc::new(Self {
            inner,
            fault,
            at,
            requests: AtomicUsize::new(0),
            dies: Notify::new(),
            acknowledged: Mutex::default(),
        })
    }

    /// Whether the request at which the fault happens was made.
    pub(crate) fn happened(&self) -> bool {
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

    fn note(&self, key: &str, bytes: &[u8], written: Written) -> Written {
        if written == Written::Done {
            let entry = (key.to_owned(), bytes.to_vec());
            self.acknowledged.lock().unwrap().push(entry);
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
        let written = self.request(self.inner.create(key, bytes.clone())).await?;
        Ok(self.note(key, &bytes, written))
    }

    async fn replace(&self, key: &str, bytes: Vec<u8>, read: &Tag) -> Result<Written, Failure> {
        let work = self.inner.replace(key, bytes.clone(), read);
        let written = self.request(work).await?;
        Ok(self.note(key, &bytes, written))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        self.request(self.inner.list(prefix)).await
    }
}
