//! The answer, with the headers that every answer carries.

use std::collections::BTreeMap;

use askama::Template;
use aws::http::HttpAnswer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::short::Short;

/// The one style sheet, within every page: nothing is loaded from anywhere.
pub(crate) const STYLE: &str = include_str!("../templates/style.css");

/// What the function URL answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Answer(HttpAnswer);

impl Answer {
    /// A page.
    pub(crate) fn page(status_code: u16, body: String) -> Self {
        let mut answer = Self::empty(status_code);
        answer
            .0
            .headers
            .insert("content-type", "text/html; charset=utf-8".to_owned());
        answer.0.body = body;
        answer
    }

    /// A page of a few sentences.
    pub(crate) fn short(short: Short) -> Self {
        let page = ShortPage {
            title: short.title(),
            sentences: short.sentences(),
            style: STYLE,
        };
        Self::page(short.status(), page.render().unwrap_or_default())
    }

    /// No body.
    pub(crate) fn empty(status_code: u16) -> Self {
        let headers = [
            ("cache-control", "no-store".to_owned()),
            ("content-security-policy", policy()),
            ("cross-origin-opener-policy", "same-origin".to_owned()),
            ("cross-origin-resource-policy", "same-origin".to_owned()),
            (
                "permissions-policy",
                "camera=(), geolocation=(), microphone=(), payment=()".to_owned(),
            ),
            ("referrer-policy", "no-referrer".to_owned()),
            ("strict-transport-security", "max-age=31536000".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
            ("x-frame-options", "DENY".to_owned()),
            ("x-robots-tag", "noindex, nofollow".to_owned()),
        ];
        Self(HttpAnswer {
            status_code,
            headers: BTreeMap::from(headers),
            body: String::new(),
        })
    }

    /// The same, and which methods there are.
    pub(crate) fn allowing(mut self, methods: &str) -> Self {
        self.0.headers.insert("allow", methods.to_owned());
        self
    }

    /// The same to a HEAD.
    pub(crate) fn without_body(mut self) -> Self {
        self.0.body.clear();
        self
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.0.status_code
    }

    /// The headers.
    #[must_use]
    pub const fn headers(&self) -> &BTreeMap<&'static str, String> {
        &self.0.headers
    }

    /// The page.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.0.body
    }
}

/// Nothing runs, nothing is loaded, nothing embeds us; the only style is the one with this hash; the form goes to us.
fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

#[derive(Template)]
#[template(path = "short.html")]
struct ShortPage {
    title: &'static str,
    sentences: &'static [&'static str],
    style: &'static str,
}
