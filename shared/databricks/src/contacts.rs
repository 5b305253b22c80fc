//! Whether a workspace answers at all: every attempt counts, also those that a repeat made good. One failed call says nothing of a
//! site; that every attempt failed does.

use std::sync::{Mutex, PoisonError};

use crate::cause::Cause;
use crate::error::Error;
use crate::ids::WorkspaceId;

/// How the attempts of a client were answered since they were taken last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contacts {
    /// Attempts that an API answered by its own word: a success, or a refusal of this very request (not found, invalid state).
    pub answered: u32,
    /// Attempts that were answered by something that serves nobody: 5xx, 429, 401, 403, a redirect.
    pub refused: u32,
    /// Attempts to which nothing came back: no connection, no name, no TLS, no answer in time.
    pub silent: u32,
    /// The newest failure that was counted.
    pub last_failure: Option<String>,
}

impl Contacts {
    /// The attempts of two clients together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            answered: self.answered.saturating_add(other.answered),
            refused: self.refused.saturating_add(other.refused),
            silent: self.silent.saturating_add(other.silent),
            last_failure: other.last_failure.or(self.last_failure),
        }
    }

    fn count(&mut self, error: Option<&Error>) {
        let counter = match error.map(Error::cause) {
            None
            | Some(
                Cause::NotFound
                | Cause::InvalidState
                | Cause::Conflict
                | Cause::BadRequest
                | Cause::AnswerTooLarge
                | Cause::UnexpectedAnswer
                | Cause::EndlessPaging
                | Cause::WrongWorkspace,
            ) => &mut self.answered,
            Some(
                Cause::Http5xx
                | Cause::Throttled
                | Cause::Unauthenticated
                | Cause::Forbidden
                | Cause::PrivateLinkBlocked
                | Cause::Redirected,
            ) => &mut self.refused,
            Some(
                Cause::ConnectTimeout
                | Cause::ReadTimeout
                | Cause::ConnectionRefused
                | Cause::ConnectionReset
                | Cause::ConnectionFailed
                | Cause::NameNotFound
                | Cause::TlsRejected,
            ) => &mut self.silent,
            // Nothing was sent to the workspace.
            Some(
                Cause::InvalidInput
                | Cause::Client
                | Cause::DeadlineExceeded
                | Cause::IdentityUnavailable,
            ) => return,
        };
        *counter = counter.saturating_add(1);
        if let Some(error) = error {
            self.last_failure = Some(error.to_string());
        }
    }
}

/// What a client has learned from answers, whatever they were to.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    contacts: Mutex<Contacts>,
    /// The workspace that the newest answer named.
    workspace: Mutex<Option<WorkspaceId>>,
}

impl Heard {
    pub(crate) fn count(&self, error: Option<&Error>) {
        let mut contacts = self.contacts.lock().unwrap_or_else(PoisonError::into_inner);
        contacts.count(error);
    }

    pub(crate) fn take_contacts(&self) -> Contacts {
        std::mem::take(&mut *self.contacts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn name(&self, workspace: Option<WorkspaceId>) {
        if workspace.is_some() {
            *self
                .workspace
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = workspace;
        }
    }

    pub(crate) fn named(&self) -> Option<WorkspaceId> {
        *self
            .workspace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
