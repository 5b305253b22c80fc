//! The links to the page: an opaque id, a moment, and a keyed signature over both. The key is a secret of the control region.
//!
//! The same key signs the form of the page: only who has opened the page by its link, a short while ago, can send it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{ApprovalId, Request};
use crate::site::PlanName;

/// The shortest key, characters: 256 bits in hexadecimal.
const SHORTEST_KEY: usize = 64;
/// A path is never longer than this.
const LONGEST_PATH: usize = 160;
/// How long a form may be open before it is shown anew: what it shows may have changed.
const FORM_LASTS: SignedDuration = SignedDuration::from_mins(15);
/// Two instances of a function need not agree on the time to the second.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(60);

/// A key. It is never shown: no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
struct Key(String);

impl Key {
    fn mac(&self, what: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).ok()?;
        mac.update(what.as_bytes());
        Some(mac)
    }

    fn sign(&self, what: &str) -> Option<String> {
        Some(URL_SAFE_NO_PAD.encode(self.mac(what)?.finalize().into_bytes()))
    }

    /// In constant time.
    fn fits(&self, what: &str, signature: &[u8]) -> bool {
        self.mac(what)
            .is_some_and(|mac| mac.verify_slice(signature).is_ok())
    }
}

/// The content of the parameter: links are signed with the current key; the one before still opens those that were sent before the
/// rotation. After two rotations no older link opens.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkKeys {
    current: Key,
    previous: Option<Key>,
}

impl fmt::Debug for LinkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKeys(hidden)")
    }
}

/// The parameter as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    current: String,
    #[serde(default)]
    previous: Option<String>,
}

/// The parameter cannot be used. The message never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not {{\"current\", \"previous\"}} with keys of at least {SHORTEST_KEY} characters; delete it and rotate again"
)]
pub struct BadKeys;

/// Why a link opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRefusal {
    /// It was never made by one of the keys, or not like this.
    NotValid,
    /// It was, and its time is over.
    Expired,
}

impl LinkKeys {
    /// Reads the parameter.
    ///
    /// # Errors
    /// `BadKeys`, which quotes nothing.
    pub fn parse(parameter: &str) -> Result<Self, BadKeys> {
        let written: Written = serde_json::from_str(parameter).map_err(|_| BadKeys)?;
        let long_enough = |key: &String| key.len() >= SHORTEST_KEY;
        if !long_enough(&written.current) || !written.previous.iter().all(long_enough) {
            return Err(BadKeys);
        }
        Ok(Self {
            current: Key(written.current),
            previous: written.previous.map(Key),
        })
    }

    /// A new current key from 256 random bits; the one before stays as the previous.
    #[must_use]
    pub fn rotated(before: Option<Self>, bits: [u128; 2]) -> Self {
        let [high, low] = bits;
        Self {
            current: Key(format!("{high:032x}{low:032x}")),
            previous: before.map(|keys| keys.current),
        }
    }

    /// The parameter's value. For SSM, and for nobody else.
    #[must_use]
    pub fn to_parameter(&self) -> String {
        serde_json::json!({
            "current": self.current.0,
            "previous": self.previous.as_ref().map(|key| &key.0),
        })
        .to_string()
    }

    /// The path of the link to a request, without a leading slash. It opens the page until the request expires.
    #[must_use]
    pub fn path(&self, plan: &PlanName, request: &Request) -> String {
        let until = request.expires_at.as_second();
        let signature = self
            .current
            .sign(&link_text(plan, request.id.as_str(), until))
            .unwrap_or_default();
        format!("{}/{until}/{signature}", request.id)
    }

    /// The request that a path leads to. Whatever is wrong with a path, the answer is the same.
    ///
    /// # Errors
    /// Why it opens nothing.
    pub fn open(
        &self,
        plan: &PlanName,
        path: &str,
        now: Timestamp,
    ) -> Result<ApprovalId, LinkRefusal> {
        let (id, until, signature) = parts(path).ok_or(LinkRefusal::NotValid)?;
        if !self.fits(&link_text(plan, id.as_str(), until), &signature) {
            return Err(LinkRefusal::NotValid);
        }
        if now.as_second() >= until {
            return Err(LinkRefusal::Expired);
        }
        Ok(id)
    }

    /// Whether a path has the form of a link at all: others need no key to be refused.
    #[must_use]
    pub fn could_be(path: &str) -> bool {
        parts(path).is_some()
    }

    /// What the form of the page must send back.
    #[must_use]
    pub fn nonce(&self, request: &Request, now: Timestamp, random: u128) -> String {
        let (at, random) = (now.as_second(), format!("{random:032x}"));
        let signature = self
            .current
            .sign(&nonce_text(request, at, &random))
            .unwrap_or_default();
        format!("{at}.{random}.{signature}")
    }

    /// Whether the page of this very request, shown a short while ago, holds this nonce.
    #[must_use]
    pub fn accepts(&self, request: &Request, nonce: &str, now: Timestamp) -> bool {
        let mut parts = nonce.splitn(3, '.');
        let (Some(at), Some(random), Some(signature)) = (parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        let (Ok(second), Ok(signature)) = (at.parse::<i64>(), URL_SAFE_NO_PAD.decode(signature))
        else {
            return false;
        };
        let Ok(issued) = Timestamp::from_second(second) else {
            return false;
        };
        let age = now.duration_since(issued);
        self.fits(&nonce_text(request, second, random), &signature)
            && age <= FORM_LASTS
            && age >= -CLOCKS_DIFFER
    }

    fn fits(&self, what: &str, signature: &[u8]) -> bool {
        let current = self.current.fits(what, signature);
        let previous = self
            .previous
            .as_ref()
            .is_some_and(|key| key.fits(what, signature));
        current | previous
    }
}

/// What a link's signature covers. The first line keeps it from ever being a nonce's.
fn link_text(plan: &PlanName, id: &str, until: i64) -> String {
    format!("databricks-dr link 1\n{plan}\n{id}\n{until}")
}

/// What a nonce's signature covers: what would be decided, too.
fn nonce_text(request: &Request, at: i64, random: &str) -> String {
    format!(
        "databricks-dr form 1\n{}\n{}\n{at}\n{random}",
        request.id,
        request.digest.as_str()
    )
}

/// The parts of a path, if it could be one. Only the form that [`LinkKeys::path`] writes is.
fn parts(path: &str) -> Option<(ApprovalId, i64, Vec<u8>)> {
    if path.len() > LONGEST_PATH {
        return None;
    }
    let mut parts = path.split('/');
    let id = ApprovalId::parse(parts.next()?).ok()?;
    let until = parts.next()?;
    let second: i64 = until.parse().ok()?;
    let signature = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
    let whole = parts.next().is_none() && second.to_string() == until;
    whole.then_some((id, second, signature))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::approval::tests::{at, request};

    fn keys(seed: u128) -> LinkKeys {
        LinkKeys::rotated(None, [seed, seed])
    }

    fn plan() -> PlanName {
        PlanName::new("p")
    }

    #[test]
    fn a_link_opens_its_request_until_it_expires() {
        let (keys, request) = (keys(1), request(7));
        let path = keys.path(&plan(), &request);
        let last = request.expires_at - SignedDuration::from_secs(1);
        assert_eq!(keys.open(&plan(), &path, at(0)), Ok(request.id.clone()));
        assert_eq!(keys.open(&plan(), &path, last), Ok(request.id.clone()));
        assert_eq!(
            keys.open(&plan(), &path, request.expires_at),
            Err(LinkRefusal::Expired)
        );
    }

    #[test]
    fn a_link_with_anything_changed_is_not_valid_and_says_no_more() {
        let (keys, request) = (keys(1), request(0xabc));
        let path = keys.path(&plan(), &request);
        let (id, rest) = path.split_once('/').unwrap();
        let (until, signature) = rest.split_once('/').unwrap();
        let other = ApprovalId::from_bits(8);
        let later = request.expires_at.as_second() + 1;
        let forged = [
            String::new(),
            "/".to_owned(),
            id.to_owned(),
            format!("{id}/{until}"),
            format!("{id}/{until}/"),
            format!("{other}/{until}/{signature}"),
            format!("{id}/{later}/{signature}"),
            format!("{id}/+{until}/{signature}"),
            format!("{id}/0{until}/{signature}"),
            format!("{id}/{until}/{}", &signature[..signature.len() - 1]),
            format!("{id}/{until}/{signature}="),
            format!("{id}/{until}/{signature}/"),
            format!("/{path}"),
            format!("{}/{until}/{signature}", id.to_uppercase()),
            path.repeat(1000),
        ];
        for forged in forged {
            let opened = keys.open(&plan(), &forged, at(0));
            assert_eq!(opened, Err(LinkRefusal::NotValid), "{forged}");
        }
        // Of an expired link nobody learns that it would have been one, if its signature is not.
        assert_eq!(
            keys.open(
                &plan(),
                &format!("{id}/{until}/{}", "A".repeat(43)),
                request.expires_at
            ),
            Err(LinkRefusal::NotValid)
        );
        assert_eq!(
            keys.open(&PlanName::new("q"), &path, at(0)),
            Err(LinkRefusal::NotValid),
            "another plan's"
        );
    }

    #[test]
    fn one_rotation_keeps_the_links_that_were_sent_and_two_do_not() {
        let (first, request) = (keys(1), request(7));
        let path = first.path(&plan(), &request);
        let once = LinkKeys::rotated(Some(first), [2, 2]);
        assert!(once.open(&plan(), &path, at(0)).is_ok());
        assert_ne!(once.path(&plan(), &request), path);
        let twice = LinkKeys::rotated(Some(once), [3, 3]);
        assert_eq!(
            twice.open(&plan(), &path, at(0)),
            Err(LinkRefusal::NotValid)
        );
    }

    #[test]
    fn the_parameter_comes_back_as_it_was_written_and_a_weak_one_is_refused_without_a_quote() {
        let keys = LinkKeys::rotated(Some(keys(1)), [2, 2]);
        assert_eq!(LinkKeys::parse(&keys.to_parameter()), Ok(keys));
        for bad in [
            "",
            "secret-text",
            r#"{"current":"short","previous":null}"#,
            r#"{"previous":null}"#,
        ] {
            let error = LinkKeys::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("secret-text") && !error.contains("short"));
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", keys(1)), "LinkKeys(hidden)");
    }

    #[test]
    fn a_nonce_is_good_for_its_request_for_a_quarter_of_an_hour() {
        let (keys, shown) = (keys(1), request(7));
        let nonce = keys.nonce(&shown, at(0), 5);
        assert!(keys.accepts(&shown, &nonce, at(0)));
        assert!(keys.accepts(&shown, &nonce, at(900)));
        assert!(!keys.accepts(&shown, &nonce, at(901)), "stale");
        assert!(!keys.accepts(&shown, &nonce, at(-61)), "from the future");
        assert!(!keys.accepts(&request(8), &nonce, at(0)), "another request");
        for bad in ["", "0", "0.5", "0.5.", "0.5.AAAA", "x.y.z", &nonce[1..]] {
            assert!(!keys.accepts(&shown, bad, at(0)), "{bad}");
        }
        let path = keys.path(&plan(), &shown);
        let signature = path.rsplit('/').next().unwrap();
        let crossed = format!("0.{:032x}.{signature}", 5);
        assert!(!keys.accepts(&shown, &crossed, at(0)), "a link is no nonce");
    }

    proptest! {
        #[test]
        fn no_text_opens_anything(path in ".{0,200}") {
            prop_assert_eq!(keys(1).open(&plan(), &path, at(0)), Err(LinkRefusal::NotValid));
            prop_assert!(!keys(1).accepts(&request(7), &path, at(0)));
        }
    }
}
