//! The pages of a few sentences. None of them says anything of the plan, the run, or who decided what.

/// Why there is nothing to decide here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Short {
    /// Not a link that was ever sent, or not as it was sent.
    NotValid,
    /// Its time is over.
    Expired,
    /// Somebody was faster.
    Decided,
    /// A newer request was sent.
    Replaced,
    /// Nobody waits for the answer.
    Gone,
    /// Not a method of this page.
    Method,
    /// Sent by another site.
    CrossSite,
    /// Not a form.
    NoForm,
    /// A body that no form of ours has.
    TooLong,
    /// The store or the key cannot be read now.
    Unavailable,
}

impl Short {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::NotValid => 404,
            Self::Expired | Self::Decided | Self::Replaced | Self::Gone => 410,
            Self::Method => 405,
            Self::CrossSite => 403,
            Self::NoForm => 415,
            Self::TooLong => 413,
            Self::Unavailable => 503,
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::NotValid => "This link is not valid",
            Self::Expired => "This link has expired",
            Self::Decided => "This is decided already",
            Self::Replaced => "There is a newer request",
            Self::Gone => "Nobody waits for this decision any more",
            Self::Method => "This page is read or sent, nothing else",
            Self::CrossSite => "This did not come from the page",
            Self::NoForm => "This is not the form of the page",
            Self::TooLong => "This is too long",
            Self::Unavailable => "The page cannot be shown at this moment",
        }
    }

    pub(crate) const fn sentences(self) -> &'static [&'static str] {
        match self {
            Self::NotValid => &[
                "Nothing was changed.",
                "Open the link from the newest message, whole: some programs cut long links. If it still does not open, use the command line in the message.",
            ],
            Self::Expired => &[
                "Nothing was changed by opening it.",
                "If the decision is still needed, a new message will bring a new link. The runbook says how to have it asked again.",
            ],
            Self::Decided => &[
                "What you sent, if anything, was not counted: the first decision stands.",
                "Who decided, and why, is in the record of the run and in the message that followed.",
            ],
            Self::Replaced => &[
                "Nothing was changed.",
                "What would happen is no longer what this link showed, so it was asked again. Open the link from the newest message.",
            ],
            Self::Gone => &[
                "Nothing was changed.",
                "The run that asked has ended, or what it asked about has gone its own way. A decision would arrive for nobody.",
            ],
            Self::Method => &["Nothing was changed."],
            Self::CrossSite => &[
                "Nothing was changed.",
                "Another site sent this form. Open the link from the message yourself and decide there.",
            ],
            Self::NoForm | Self::TooLong => &[
                "Nothing was changed.",
                "Open the link from the message again and decide there.",
            ],
            Self::Unavailable => &[
                "Nothing was changed.",
                "Try again in a few seconds. The command line in the message works without this page.",
            ],
        }
    }
}
