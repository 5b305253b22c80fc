//! Rules by which the simulated workspace misbehaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::World;

/// What a rule does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// Answers with a status and nothing happens.
    Status(Canned),
    /// Never answers; the connection is dropped when the rules are cleared.
    Hang,
    /// Answers late.
    Slow { ms: u64 },
    /// Resets the connection and nothing happens.
    Reset,
    /// The effect happens, then the connection is reset.
    LostAnswer,
    /// The first read which would show a write still shows what was before.
    StaleRead,
    /// The effect happens, but the answer says otherwise.
    EffectThenStatus(Canned),
}

/// A canned answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Canned {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) body: Value,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
}

/// A rule: which requests, and what happens to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rule {
    #[serde(default)]
    method: Option<String>,
    /// A path prefix, or a pattern of the whole path when it has a `*`.
    path: String,
    #[serde(flatten)]
    pub(crate) fault: Fault,
    /// How often the rule acts; without it always.
    #[serde(default)]
    times: Option<u64>,
    /// How many matching requests pass before it acts.
    #[serde(default)]
    after: u64,
    /// Matching requests so far.
    #[serde(default)]
    seen: u64,
    /// The world before the write, until a read has shown it.
    #[serde(skip)]
    before: Stale,
    /// The family of calls the kept write belongs to.
    #[serde(skip)]
    wrote: String,
}

/// A world of the past, shared with the request which may show it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stale(pub(crate) Arc<Mutex<Option<Box<World>>>>);

impl Stale {
    pub(crate) fn pending(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    pub(crate) fn keep(&self, world: World) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(world));
    }
}

/// Whether a path is meant by a pattern.
fn meant(pattern: &str, path: &str) -> bool {
    if !pattern.contains('*') {
        return path.starts_with(pattern);
    }
    let mut rest = path;
    let mut pieces = pattern.split('*').peekable();
    let mut first = true;
    while let Some(piece) = pieces.next() {
        let last = pieces.peek().is_none();
        if first {
            let Some(tail) = rest.strip_prefix(piece) else {
                return false;
            };
            rest = tail;
        } else if last {
            return rest.ends_with(piece);
        } else {
            let Some((_, tail)) = rest.split_once(piece) else {
                return false;
            };
            rest = tail;
        }
        first = false;
    }
    rest.is_empty()
}

impl Rule {
    fn concerns(&self, method: &Method, path: &str) -> bool {
        let method_fits = self
            .method
            .as_ref()
            .is_none_or(|m| m.eq_ignore_ascii_case(method.as_str()));
        method_fits && meant(&self.path, path)
    }

    fn acts(&mut self) -> bool {
        self.seen += 1;
        let turn = self.seen - 1;
        turn >= self.after && self.times.is_none_or(|times| turn - self.after < times)
    }
}

/// The rules in force.
#[derive(Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    pub(crate) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The first rule which acts on this request; stale reads are asked for separately.
    pub(crate) fn meet(&mut self, method: &Method, path: &str) -> Option<Fault> {
        for rule in &mut self.rules {
            if matches!(rule.fault, Fault::StaleRead) || !rule.concerns(method, path) {
                continue;
            }
            if rule.acts() {
                return Some(rule.fault.clone());
            }
        }
        None
    }

    /// A write: the places where the world before it has to be kept.
    pub(crate) fn before_write(&mut self, method: &Method, path: &str) -> Vec<Stale> {
        let stale = self
            .rules
            .iter_mut()
            .filter(|r| matches!(r.fault, Fault::StaleRead));
        let meant = stale.filter(|r| r.concerns(method, path) && !r.before.pending());
        let mut keep = Vec::new();
        for rule in meant {
            if rule.acts() {
                rule.wrote = family(path).to_owned();
                keep.push(rule.before.clone());
            }
        }
        keep
    }

    /// A read: the world it may have to show. The rule's method speaks of the write.
    pub(crate) fn before_read(&self, path: &str) -> Option<Stale> {
        let stale = self
            .rules
            .iter()
            .filter(|r| matches!(r.fault, Fault::StaleRead));
        stale
            .filter(|r| r.before.pending())
            .find(|r| r.wrote == family(path))
            .map(|r| r.before.clone())
    }
}

/// `/api/2.2/jobs/update` and `/api/2.2/jobs/get` are of one family; the write names it.
fn family(path: &str) -> &str {
    let mut slashes = path.match_indices('/').map(|(at, _)| at);
    let end = slashes.nth(3).unwrap_or(path.len());
    path.get(..end).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_prefixes_or_patterns() {
        assert!(meant("/api/2.2/jobs", "/api/2.2/jobs/list"));
        assert!(!meant("/api/2.2/jobs", "/api/2.1/clusters/list"));
        assert!(meant("/api/*/list", "/api/2.1/clusters/list"));
        assert!(!meant("/api/*/list", "/api/2.1/clusters/list/more"));
        assert!(meant(
            "/api/2.0/sql/warehouses/*/start",
            "/api/2.0/sql/warehouses/a/start"
        ));
        assert!(meant("*", "/anything"));
    }

    #[test]
    fn rules_act_after_and_so_many_times() {
        let mut faults = Faults::default();
        let rule = json!({"path": "/api", "kind": "status", "status": 503, "times": 2, "after": 1});
        faults.add(serde_json::from_value(rule).unwrap());
        let acts: Vec<bool> = (0..4)
            .map(|_| faults.meet(&Method::GET, "/api/x").is_some())
            .collect();
        assert_eq!(acts, [false, true, true, false]);
    }

    #[test]
    fn families_join_writes_and_reads() {
        assert_eq!(family("/api/2.2/jobs/update"), family("/api/2.2/jobs/get"));
        assert_eq!(
            family("/api/2.0/sql/warehouses/x/start"),
            family("/api/2.0/sql/warehouses/x")
        );
        assert_ne!(
            family("/api/2.2/jobs/update"),
            family("/api/2.1/clusters/get")
        );
    }
}
