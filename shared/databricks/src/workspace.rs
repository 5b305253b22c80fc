//! A workspace to read, and the right to write to it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OnceCell;
use wire::Times;

use crate::Object;
use crate::clusters::text;
use crate::contacts::{Contacts, Heard};
use crate::error::Error;
use crate::ids::WorkspaceId;
use crate::limits::{Class, Limits};
use crate::request::{Operation, Request};
use crate::secret::Credential;
use crate::settings::{Settings, Timeouts};
use crate::token::Tokens;
use crate::transport;

const ME: Operation = Operation::read("read who is signed in", Class::ScimRead);

/// A client of one workspace that only reads. Cheap to clone; clones share connections, token and rate limits.
///
/// Every call may fail with the network errors of [`Error`], with [`Error::Unauthenticated`], [`Error::Forbidden`],
/// [`Error::Throttled`], [`Error::Http5xx`], [`Error::UnexpectedAnswer`], [`Error::AnswerTooLarge`] (64 MiB), and with
/// [`Error::DeadlineExceeded`] after [`Timeouts::total`](crate::Timeouts::total). Waiting for the rate limit counts, so
/// do not start more calls at once than the class's rate lets through in that time.
#[derive(Clone)]
pub struct Workspace {
    inner: Arc<Inner>,
    timeouts: Timeouts,
    /// Where the time of the last exchange over a fresh connection went.
    times: Arc<Mutex<Option<Times>>>,
}

struct Inner {
    settings: Settings,
    http: reqwest::Client,
    limits: Limits,
    tokens: Tokens,
    verified: OnceCell<Identity>,
    heard: Heard,
}

/// A client of one workspace that writes, too. Only [`Workspace::verified`] makes one.
#[derive(Clone, Debug)]
pub struct Writer {
    workspace: Workspace,
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name; for a service principal its application id.
    pub user_name: String,
    /// The id within the workspace.
    pub id: String,
    /// Whether the principal may sign in; `true` if the platform does not say.
    pub active: bool,
    /// The names of its groups.
    pub groups: Vec<String>,
    /// The workspace that answered, by its header `X-Databricks-Org-Id`; `None` if it did not say.
    pub workspace_id: Option<WorkspaceId>,
}

/// What signing in gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// The life of the new token, if the platform told; `None` for a personal access token.
    pub expires_in: Option<Duration>,
    /// Who is signed in: for a personal access token, which is checked by asking; `None` for a client secret.
    pub identity: Option<Identity>,
}

impl Workspace {
    /// Sets a client up. No network I/O.
    ///
    /// Errors: [`Error::InvalidInput`] for unfit settings, [`Error::Client`] without a usable trust store.
    pub fn connect(settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let http = transport::client(&settings)?;
        let limits = Limits::new(settings.share, settings.time_scale);
        let (tokens, verified) = (Tokens::new(), OnceCell::new());
        let timeouts = settings.timeouts;
        Ok(Self {
            timeouts,
            times: Arc::default(),
            inner: Arc::new(Inner {
                settings,
                http,
                limits,
                tokens,
                verified,
                heard: Heard::default(),
            }),
        })
    }

    /// Signs in afresh: fetches a new token for a client secret; asks who is signed in for a personal token.
    /// One attempt, whatever [`Retries`](crate::Retries) say, for a client secret.
    ///
    /// Errors: [`Error::Unauthenticated`] for a client that is not known or whose secret is wrong, and those of any call.
    pub async fn sign_in(&self) -> Result<SignIn, Error> {
        if matches!(self.settings().credential, Credential::Token(_)) {
            let identity = self.me().await?;
            return Ok(SignIn {
                expires_in: None,
                identity: Some(identity),
            });
        }
        let token = self.new_token().await?;
        Ok(SignIn {
            expires_in: token.life,
            identity: None,
        })
    }

    /// Who is signed in, and to which workspace (`GET /api/2.0/preview/scim/v2/Me`). At most 255 requests a minute.
    pub async fn me(&self) -> Result<Identity, Error> {
        let request = Request::new(&ME, "/api/2.0/preview/scim/v2/Me");
        let answer = self.call(&request).await?;
        let user: Option<Object> = serde_json::from_slice(&answer.body).ok();
        let Some(user) = user.filter(|user| !text(user, "userName").is_empty()) else {
            return Err(self.unexpected(&request, &answer, "it is not a user"));
        };
        Ok(Identity {
            user_name: text(&user, "userName").to_owned(),
            id: text(&user, "id").to_owned(),
            active: user.get("active").and_then(Value::as_bool).unwrap_or(true),
            groups: user
                .get("groups")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|group| group.get("display")?.as_str())
                .map(str::to_owned)
                .collect(),
            workspace_id: answer.workspace_id,
        })
    }

    /// The right to write, if the workspace that answers is the one of the settings. Asks once; success is kept for
    /// all clones, a failure is not.
    ///
    /// Errors: [`Error::WrongWorkspace`] if another one answers or none is named, and those of any call.
    pub async fn verified(&self) -> Result<Writer, Error> {
        self.inner
            .verified
            .get_or_try_init(|| async {
                let expected = self.settings().workspace_id;
                let me = self.me().await?;
                if me.workspace_id == Some(expected) {
                    return Ok(me);
                }
                Err(Error::WrongWorkspace {
                    host: self.settings().url.host().to_owned(),
                    expected,
                    found: me.workspace_id,
                })
            })
            .await?;
        Ok(Writer {
            workspace: self.clone(),
        })
    }

    /// The right to write to a workspace that could not be verified because it does not say who is signed in. Nobody knows then that it is
    /// the expected one, so this is for what does no harm elsewhere: pausing by id what the expected one is known to hold.
    ///
    /// Errors: [`Error::WrongWorkspace`] if an answer to this client, of whatever kind, has named another one.
    pub fn unverified(&self) -> Result<Writer, Error> {
        let expected = self.settings().workspace_id;
        match self.inner.heard.named() {
            Some(found) if found != expected => Err(Error::WrongWorkspace {
                host: self.settings().url.host().to_owned(),
                expected,
                found: Some(found),
            }),
            _ => Ok(Writer {
                workspace: self.clone(),
            }),
        }
    }

    /// Whether the newest answer that named a workspace named the expected one. What never says who it is may be anything.
    #[must_use]
    pub fn has_named_itself(&self) -> bool {
        self.inner.heard.named() == Some(self.settings().workspace_id)
    }

    /// How the attempts of this client and its clones were answered since this was asked last.
    #[must_use]
    pub fn take_contacts(&self) -> Contacts {
        self.inner.heard.take_contacts()
    }

    pub(crate) fn heard(&self) -> &Heard {
        &self.inner.heard
    }

    /// Who is signed in, once [`Workspace::verified`] has succeeded.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.inner.verified.get()
    }

    /// The same client with another patience and a record of times of its own; connections, token, rate limits and what was
    /// verified are shared. With [`Connections::Pooled`](crate::Connections::Pooled) the time to connect stays as it was.
    ///
    /// Errors: [`Error::InvalidInput`] for times that do not grow.
    pub fn with_timeouts(&self, timeouts: Timeouts) -> Result<Self, Error> {
        timeouts.check()?;
        Ok(Self {
            inner: Arc::clone(&self.inner),
            timeouts,
            times: Arc::default(),
        })
    }

    /// Where the time of the last exchange went that this client, or a clone of it, made over a fresh connection, also of one
    /// that failed; `None` before the first, and with [`Connections::Pooled`](crate::Connections::Pooled).
    #[must_use]
    pub fn times(&self) -> Option<Times> {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keep_times(&self, times: Times) {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner) = Some(times);
    }

    pub(crate) const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// What the client was set up with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.inner.http
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// The workspace it writes to, for reads.
    #[must_use]
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }
}
