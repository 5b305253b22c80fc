//! Who may do what with an object, and whether both sites agree on it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kind::Object;

/// What the platform's answer says was granted on the object itself: principal and level. What is inherited belongs to the folder.
fn granted(answer: &Object) -> BTreeSet<(String, String)> {
    let list = answer.get("access_control_list").and_then(Value::as_array);
    let mut found = BTreeSet::new();
    for entry in list.into_iter().flatten() {
        let names = ["user_name", "group_name", "service_principal_name"];
        let Some(who) = names.iter().find_map(|n| entry.get(n)?.as_str()) else {
            continue;
        };
        let all = entry.get("all_permissions").and_then(Value::as_array);
        for permission in all.into_iter().flatten() {
            let inherited = permission.get("inherited").and_then(Value::as_bool);
            if inherited != Some(true)
                && let Some(level) = permission.get("permission_level").and_then(Value::as_str)
            {
                found.insert((who.to_owned(), level.to_owned()));
            }
        }
    }
    found
}

/// How the second differs from the first, in words; nothing if both grant the same.
#[must_use]
pub fn difference(original: &Object, twin: &Object) -> Option<String> {
    let (ours, theirs) = (granted(original), granted(twin));
    let words = |set: Vec<&(String, String)>| {
        let words: Vec<String> = set
            .iter()
            .map(|(who, level)| format!("{who} {level}"))
            .collect();
        words.join(", ")
    };
    let missing = words(ours.difference(&theirs).collect());
    let extra = words(theirs.difference(&ours).collect());
    match (missing.is_empty(), extra.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("lacks {missing}")),
        (true, false) => Some(format!("has also {extra}")),
        (false, false) => Some(format!("lacks {missing}; has also {extra}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(list: Value) -> Object {
        json!({"object_id": "/x/1", "access_control_list": list})
            .as_object()
            .unwrap()
            .clone()
    }

    #[test]
    fn what_is_granted_counts_and_what_is_inherited_does_not() {
        let grant = |who: &str, level: &str, inherited: bool| json!({"group_name": who, "all_permissions": [{"permission_level": level, "inherited": inherited}]});
        let ours = answer(json!([
            grant("a", "CAN_USE", false),
            grant("admins", "CAN_MANAGE", true)
        ]));
        assert_eq!(
            difference(&ours, &answer(json!([grant("a", "CAN_USE", false)]))),
            None
        );
        let theirs = answer(json!([grant("b", "CAN_USE", false)]));
        let told = difference(&ours, &theirs);
        assert_eq!(told.as_deref(), Some("lacks a CAN_USE; has also b CAN_USE"));
        assert!(difference(&ours, &answer(json!("nonsense"))).is_some());
    }
}
