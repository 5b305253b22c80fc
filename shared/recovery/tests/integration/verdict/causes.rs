//! Causes in text and back.

use recovery::verdict::{Outcome, Signal, UnknownCause};

#[test]
fn an_unheard_of_cause_counts_as_a_probe_error() {
    let signal = |outcome: &str| {
        let json =
            format!(r#"{{"probe":"control-plane-api","outcome":"{outcome}","cause":"Gremlins"}}"#);
        serde_json::from_str::<Signal>(&json).unwrap()
    };
    for outcome in ["Healthy", "Degraded", "Down", "Unknown"] {
        let signal = signal(outcome);
        assert_eq!(
            signal.outcome,
            UnknownCause::Other("Gremlins".to_owned()).into(),
            "{outcome}"
        );
        let json = serde_json::to_string(&signal).unwrap();
        assert_eq!(
            json,
            r#"{"probe":"control-plane-api","outcome":"Unknown","cause":"Gremlins"}"#
        );
    }
}

#[test]
fn every_cause_keeps_its_name() {
    let names = [
        ("Degraded", "Slow PartialFailure"),
        (
            "Down",
            "ConnectTimeout ReadTimeout ConnectionRefused ConnectionReset Http5xx QueryFailed StoreUnavailable NameLost",
        ),
        (
            "Unknown",
            "Unauthenticated Forbidden Throttled NameNotFound TlsRejected PrivateLinkBlocked WarehouseCold \
             NotConfigured ProbeError",
        ),
    ];
    for (outcome, causes) in names {
        for cause in causes.split_whitespace() {
            let json = format!(r#"{{"probe":"kpi:x","outcome":"{outcome}","cause":"{cause}"}}"#);
            let signal: Signal = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&signal).unwrap(), json);
            assert!(
                !matches!(signal.outcome, Outcome::Unknown(UnknownCause::Other(_))),
                "{cause}"
            );
        }
    }
}
