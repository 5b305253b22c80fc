//! A malformed case is an error that names the field.

use recovery::verdict::{Case, CaseError};
use serde_json::{Value, json};

fn case() -> Value {
    json!({
        "name": "one", "now": "2026-03-01T00:10:00Z",
        "policy": {"window": 5, "confirmations": 3, "grace_seconds": 120, "quorum": 2, "freshness_seconds": 180},
        "observations": [
            {"at": "2026-03-01T00:05:00Z", "vantage": "a", "site": "primary", "signals": [
                {"probe": "sign-in", "outcome": "Healthy", "latency_ms": 12},
                {"probe": "control-plane-api", "outcome": "Down", "cause": "ConnectTimeout", "latency_ms": 5000}]},
            {"at": "2026-03-01T00:06:00Z", "vantage": "a", "site": "primary", "signals": []}],
        "expect": {"verdict": "Inconclusive", "actionable": false}
    })
}

fn judged(case: &Value) -> Result<(), CaseError> {
    Case::from_json(&serde_json::to_vec(case).unwrap())?.judge()?;
    Ok(())
}

#[test]
fn a_well_formed_case_is_no_error() {
    judged(&case()).unwrap();
    let mut bare = case();
    bare.as_object_mut().unwrap().remove("expect");
    judged(&bare).unwrap();
}

#[test]
fn the_error_names_the_field() {
    // Where, what is put there, the field of the error, a word of the problem.
    let table = [
        ("/now", json!("yesterday"), "now", "year"),
        (
            "/observations/0/at",
            json!("2026-03-01T00:06:00Z"),
            "observations[1].at",
            "second observation",
        ),
        (
            "/observations/0/at",
            json!("2026-03-01T01:06:00+01:00"),
            "observations[1].at",
            "second observation",
        ),
        (
            "/observations/0/site",
            json!("tertiary"),
            "observations[0].site",
            "tertiary",
        ),
        (
            "/observations/1/site",
            json!("secondary"),
            "observations[1].site",
            "one site",
        ),
        (
            "/observations/0/vantage",
            json!(7),
            "observations[0].vantage",
            "string",
        ),
        (
            "/observations/0/signals/0/probe",
            json!("sing-in"),
            "observations[0].signals[0].probe",
            "sing-in",
        ),
        (
            "/observations/0/signals/0/probe",
            json!("kpi:"),
            "observations[0].signals[0].probe",
            "kpi:",
        ),
        (
            "/observations/0/signals/0/probe",
            json!("control-plane-api"),
            "observations[0].signals[1].probe",
            "second",
        ),
        (
            "/observations/0/signals/0/outcome",
            json!("Fine"),
            "observations[0].signals[0].outcome",
            "Fine",
        ),
        (
            "/observations/0/signals/1/cause",
            json!("Forbidden"),
            "observations[0].signals[1].cause",
            "Unknown",
        ),
        (
            "/observations/0/signals/1/cause",
            json!("ProbeError"),
            "observations[0].signals[1].cause",
            "Unknown",
        ),
        (
            "/observations/0/signals/1/cause",
            json!("Slow"),
            "observations[0].signals[1].cause",
            "Degraded",
        ),
        (
            "/observations/0/signals/1/outcome",
            json!("Healthy"),
            "observations[0].signals[1].cause",
            "Healthy",
        ),
        (
            "/observations/0/signals/1/outcome",
            json!("Unknown"),
            "observations[0].signals[1].cause",
            "Unknown",
        ),
        (
            "/observations/0/signals/1/latency_ms",
            json!(-1),
            "observations[0].signals[1].latency_ms",
            "-1",
        ),
        ("/policy/window", json!(-5), "policy.window", "-5"),
        ("/policy/window", json!(2.5), "policy.window", "2.5"),
        ("/policy/window", json!(0), "policy.window", "at least 1"),
        (
            "/policy/window",
            json!(2),
            "policy.confirmations",
            "window of 2",
        ),
        (
            "/policy/confirmations",
            json!(0),
            "policy.confirmations",
            "at least 1",
        ),
        ("/policy/quorum", json!(0), "policy.quorum", "at least 1"),
        (
            "/policy/grace_seconds",
            json!(-1),
            "policy.grace_seconds",
            "-1",
        ),
        (
            "/policy/freshness_seconds",
            json!("180"),
            "policy.freshness_seconds",
            "180",
        ),
        ("/expect/verdict", json!("Fine"), "expect.verdict", "Fine"),
        ("/expect/actionable", json!("no"), "expect.actionable", "no"),
    ];
    for (pointer, value, field, word) in table {
        let mut case = case();
        *case.pointer_mut(pointer).unwrap() = value.clone();
        let error = judged(&case).expect_err(pointer);
        assert_eq!(error.field, field, "{pointer} = {value}: {error}");
        assert!(error.problem.contains(word), "{pointer} = {value}: {error}");
    }
}

#[test]
fn what_is_missing_or_unheard_of_is_named() {
    for field in ["name", "now", "policy", "observations"] {
        let mut case = case();
        case.as_object_mut().unwrap().remove(field);
        assert!(judged(&case).unwrap_err().problem.contains(field));
    }
    for object in ["", "/policy", "/expect"] {
        let mut case = case();
        case.pointer_mut(object).unwrap()["exqect"] = json!(1);
        assert!(judged(&case).unwrap_err().to_string().contains("exqect"));
    }
    assert!(Case::from_json(b"{").is_err());
    assert!(Case::from_json(&[&serde_json::to_vec(&case()).unwrap()[..], b"{}"].concat()).is_err());
}
