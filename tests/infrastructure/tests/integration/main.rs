//! Each test is named after a promise. It asks the rule about the real documents, which must keep it, and about
//! documents that were broken on purpose, which must be found.

use infrastructure::{Documents, Violation};

type Break = fn(&mut Documents);

/// The rule holds, and sees each break.
#[cfg(test)]
fn prove(rule: impl Fn(&Documents) -> Vec<Violation>, breaks: &[(&str, Break)]) {
    let real = Documents::read().unwrap();
    let violations: Vec<String> = rule(&real).iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "broken:\n{}", violations.join("\n"));
    for (name, change) in breaks {
        let mut broken = real.clone();
        change(&mut broken);
        assert_ne!(broken, real, "the break '{name}' changes nothing");
        assert!(!rule(&broken).is_empty(), "the break '{name}' is not seen");
    }
}

/// One test for each promise.
macro_rules! promises {
    ($($promise:ident: $rule:expr, $($name:literal => $change:expr),+;)+) => {
        $(
            #[test]
            fn $promise() {
                crate::prove($rule, &[$(($name, $change)),+]);
            }
        )+
    };
}

#[cfg(test)]
mod contract;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod template;
