//! Who may do what with an object, and whether both sites agree on it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::inventory::Resource;
use crate::kind::Object;
use crate::readiness::Difference;

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

/// Whether one of these names (of a user, a service principal or a group) may manage the object, by a grant of its own or an inherited
/// one. `CAN_MANAGE` or `IS_OWNER` covers everything that a fence and a restore do, for every kind.
#[must_use]
pub fn may_manage(answer: &Object, names: &BTreeSet<&str>) -> bool {
    let list = answer.get("access_control_list").and_then(Value::as_array);
    list.into_iter().flatten().any(|entry| {
        let who = ["user_name", "group_name", "service_principal_name"];
        let is_named = who
            .iter()
            .filter_map(|n| entry.get(n)?.as_str())
            .any(|who| names.contains(who));
        let all = entry.get("all_permissions").and_then(Value::as_array);
        is_named
            && all.into_iter().flatten().any(|permission| {
                let level = permission.get("permission_level").and_then(Value::as_str);
                matches!(level, Some("CAN_MANAGE" | "IS_OWNER"))
            })
    })
}

/// What names an object wherever permissions are kept: `kind/id`.
#[must_use]
pub fn key(resource: &Resource) -> String {
    format!("{}/{}", resource.kind, resource.id)
}

fn by_principal(answer: &Object, called: &dyn Fn(&str) -> String) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (who, level) in granted(answer) {
        found.entry(called(&who)).or_default().push(level);
    }
    found
}

/// Every principal whose levels differ. `called` is how the standby calls a principal of the active site.
#[must_use]
pub fn differences(
    active: &Object,
    standby: &Object,
    called: &dyn Fn(&str) -> String,
) -> Vec<Difference> {
    let ours = by_principal(active, called);
    let theirs = by_principal(standby, &str::to_owned);
    let everybody: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    everybody
        .into_iter()
        .filter(|who| ours.get(*who) != theirs.get(*who))
        .map(|who| Difference {
            path: format!("permissions[{who}]"),
            active: ours.get(who).map(|levels| levels.clone().into()),
            standby: theirs.get(who).map(|levels| levels.clone().into()),
        })
        .collect()
}

/// The differences in words; nothing if both grant the same.
#[must_use]
pub fn in_words(differences: &[Difference]) -> Option<String> {
    let levels = |value: &Option<Value>| {
        let list = value.as_ref().and_then(Value::as_array);
        let levels: Vec<&str> = list
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        match levels.as_slice() {
            [] => "nothing".to_owned(),
            levels => levels.join(" and "),
        }
    };
    let words: Vec<String> = differences
        .iter()
        .map(|d| {
            let (ours, theirs) = (levels(&d.active), levels(&d.standby));
            format!("{} grants {theirs}, not {ours}", d.path)
        })
        .collect();
    (!words.is_empty()).then(|| words.join("; "))
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
    fn only_who_may_manage_may_fence() {
        let of = |who: &str, level: &str| {
            answer(
                json!([{"group_name": who, "all_permissions": [{"permission_level": level, "inherited": true}]}]),
            )
        };
        let names = BTreeSet::from(["sp", "admins"]);
        assert!(may_manage(&of("admins", "CAN_MANAGE"), &names));
        assert!(!may_manage(&of("admins", "CAN_VIEW"), &names));
        assert!(!may_manage(&of("others", "CAN_MANAGE"), &names));
    }

    #[test]
    fn what_is_granted_counts_and_what_is_inherited_does_not() {
        let grant = |who: &str, level: &str, inherited: bool| json!({"group_name": who, "all_permissions": [{"permission_level": level, "inherited": inherited}]});
        let ours = answer(json!([
            grant("a", "CAN_USE", false),
            grant("admins", "CAN_MANAGE", true)
        ]));
        let told = |theirs: &Object| in_words(&differences(&ours, theirs, &str::to_owned));
        assert_eq!(told(&answer(json!([grant("a", "CAN_USE", false)]))), None);
        assert_eq!(
            told(&answer(json!([grant("b", "CAN_USE", false)]))).as_deref(),
            Some(
                "permissions[a] grants nothing, not CAN_USE; permissions[b] grants CAN_USE, not nothing"
            )
        );
        assert!(told(&answer(json!("nonsense"))).is_some());
        // The standby's group goes by another name.
        let called = |who: &str| who.replace('a', "b");
        let theirs = answer(json!([grant("b", "CAN_USE", false)]));
        assert_eq!(differences(&ours, &theirs, &called), []);
    }
}
