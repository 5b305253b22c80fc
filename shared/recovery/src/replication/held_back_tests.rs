use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn object(key: &str, size: u64, second: i64) -> ListedObject {
    ListedObject {
        key: key.to_owned(),
        size,
        modified: at(second),
    }
}

/// The example plan: the bucket `lake` with the tables `sales` and `ledger` in it.
fn plan(change: impl FnOnce(&mut Value)) -> Plan {
    let mut plan: Value =
        serde_json::from_str(include_str!("../../../../infra/plan.example.json")).unwrap();
    change(&mut plan);
    Plan::parse(plan.to_string().as_bytes()).unwrap()
}

fn names(plan: &Plan, site: SiteLabel) -> Vec<&str> {
    let sets = fenced_sets(plan, site);
    sets.iter().map(|set| set.name.as_str()).collect()
}

/// What of `old` is held back beside `here`, with the rules in the order in which the function uses them.
fn found(set: &FencedSet<'_>, old: &[ListedObject], here: &[(&str, u64)]) -> Vec<HeldObject> {
    let in_question: Vec<ListedObject> = old
        .iter()
        .filter(|object| set.is_in_question(object, at(100)))
        .cloned()
        .collect();
    let here = here.iter().map(|(key, size)| ((*key).to_owned(), *size));
    set.held_back(&in_question, &here.collect())
}

#[test]
fn what_the_fence_does_not_hold_is_not_looked_at() {
    assert_eq!(
        names(&plan(|_| {}), SiteLabel::Primary),
        ["lake", "sales", "ledger"]
    );
    // No role replicates away from the secondary, so its fence denies nothing.
    assert!(names(&plan(|_| {}), SiteLabel::Secondary).is_empty());
    let exempt = plan(|plan| {
        plan["replication_fence"]["exempt"] =
            json!([{"data_set": "ledger", "why": "cloned by a job"}]);
        for site in ["primary", "secondary"] {
            plan["data_sets"][2]["locations"][site]["bucket"] = json!(format!("ledger-{site}"));
        }
    });
    assert_eq!(names(&exempt, SiteLabel::Primary), ["lake", "sales"]);
    let turned = plan(|plan| {
        plan["replication_fence"]["roles"]["secondary"] =
            json!(["arn:aws:iam::123456789012:role/home"]);
    });
    // The bucket has no rule that leads home.
    assert_eq!(names(&turned, SiteLabel::Secondary), ["sales", "ledger"]);
    let twice = plan(|plan| {
        plan["data_sets"][2]["locations"] = plan["data_sets"][1]["locations"].clone();
        plan["data_sets"][2]["holds"] = json!("Tables");
    });
    assert_eq!(names(&twice, SiteLabel::Primary), ["lake", "sales"]);
}

#[test]
fn an_object_is_named_once_with_its_whole_key() {
    let plan = plan(|plan| plan["data_sets"][1]["exclude"] = json!(["scratch"]));
    let sets = fenced_sets(&plan, SiteLabel::Primary);
    let [lake, sales, _] = sets.as_slice() else {
        panic!("{sets:?}")
    };
    let old = [
        object("a b.csv", 5, 101),
        object("databricks-dr-marker/lakehouse/primary.json", 5, 101),
        object("tables/databricks-dr-marker/lakehouse/primary.json", 5, 101),
        object("tables/finance/ledger/part-1", 5, 101),
        object("tables/sales/part-1", 5, 101),
        object("tables/sales2/part-1", 5, 101),
    ];
    let keys = |found: Vec<HeldObject>| found.into_iter().map(|o| o.key).collect::<Vec<_>>();
    assert_eq!(
        keys(found(lake, &old, &[])),
        ["a b.csv", "tables/sales2/part-1"]
    );
    let old = [object("part-1", 5, 101), object("scratch/part-1", 5, 101)];
    assert_eq!(keys(found(sales, &old, &[])), ["tables/sales/part-1"]);
}

#[test]
fn the_listing_goes_on_behind_what_belongs_to_another_data_set() {
    let plan = plan(|_| {});
    let sets = fenced_sets(&plan, SiteLabel::Primary);
    let lake = sets.first().unwrap();
    assert_eq!(lake.resume_after("tables/other/x"), "tables/other/x");
    let behind = lake.resume_after("tables/sales/orders/part-1");
    assert!(behind.as_str() > "tables/sales/\u{10fffe}" && behind.as_str() < "tables/sales0");
    // An object that is called like the place lies before what is in it and beside it.
    assert_eq!(lake.resume_after("tables/sales"), "tables/sales");
}

#[test]
fn only_what_is_new_and_lacks_its_like_is_held_back() {
    let plan = plan(|_| {});
    let sets = fenced_sets(&plan, SiteLabel::Primary);
    let ledger = sets.last().unwrap();
    let old = [
        object("old", 1, 99),
        object("at the moment itself", 1, 100),
        object("there", 1, 101),
        object("other size", 1, 101),
        object("lacking", 1, 101),
    ];
    let found = found(
        ledger,
        &old,
        &[("there", 1), ("other size", 2), ("only here", 1)],
    );
    let short: Vec<(&str, bool)> = found
        .iter()
        .map(|object| (object.key.as_str(), object.overwrites))
        .collect();
    assert_eq!(
        short,
        [
            ("tables/finance/ledger/other size", true),
            ("tables/finance/ledger/lacking", false)
        ]
    );
}

#[test]
fn a_manifest_has_encoded_keys_and_an_entry_the_first_objects() {
    let held = |key: &str, overwrites| HeldObject {
        key: key.to_owned(),
        size: 600,
        modified: at(1),
        overwrites,
    };
    let objects = [
        held(
            "tables/day=2026-03-01 00%3A00/a,b+\u{fc}\n\".parquet",
            false,
        ),
        held("_x-y.z~", true),
    ];
    assert_eq!(
        manifest("bucket", objects.iter()),
        "bucket,tables/day%3D2026-03-01%2000%253A00/a%2Cb%2B%C3%BC%0A%22.parquet\nbucket,_x-y.z~\n"
    );
    let plan = plan(|_| {});
    let set = fenced_sets(&plan, SiteLabel::Primary).remove(0);
    let many = vec![held("x", false); MOST_HELD_BACK_SHOWN + 1];
    let entry = set.entry(&many, Some("the time was over".to_owned()));
    assert_eq!(
        (entry.count, entry.bytes, entry.overwrites, entry.complete),
        (101, 60_600, 0, false)
    );
    assert_eq!(entry.first.len(), MOST_HELD_BACK_SHOWN);
    assert!(set.entry(&objects, None).complete);
}

#[test]
fn the_words_tell_what_is_known_and_what_is_not() {
    let held = |objects, bytes, overwrites, problems: &[&str]| HeldBack {
        document: "runs/r/held-back.json".to_owned(),
        manifest: (objects > overwrites).then(|| "runs/r/repair/held-back.csv".to_owned()),
        overwriting: (overwrites > 0).then(|| "runs/r/repair/held-back-overwrites.csv".to_owned()),
        site: SiteLabel::Primary,
        objects,
        bytes,
        overwrites,
        problems: problems.iter().map(|p| (*p).to_owned()).collect(),
    };
    for (held, needs, words) in [
        (
            held(0, 0, 0, &[]),
            false,
            "the fence held nothing back: the secondary site has what the primary site wrote last",
        ),
        (
            held(1, 1023, 0, &[]),
            true,
            "1 object (1023 B) of the primary site never reached the secondary site, or were deleted there since: \
             runs/r/repair/held-back.csv; decide what they are worth before you send them",
        ),
        (
            held(2, 1536, 1, &[]),
            true,
            "2 objects (1.5 KiB) of the primary site never reached the secondary site, or were deleted there since: \
             runs/r/repair/held-back.csv; decide what they are worth before you send them; \
             sending 1 of them (runs/r/repair/held-back-overwrites.csv) would replace what the secondary site has written since",
        ),
        (
            held(1, 1, 1, &[]),
            true,
            "1 object (1 B) of the primary site never reached the secondary site, or were deleted there since; decide what they \
             are worth before you send them; sending 1 of them (runs/r/repair/held-back-overwrites.csv) would replace what the \
             secondary site has written since",
        ),
        (
            held(0, 0, 0, &["sales: denied"]),
            true,
            "the secondary site has all that was seen of the primary site's last; THE LIST OF WHAT THE FENCE HELD BACK IS NOT \
             COMPLETE (runs/r/held-back.json): sales: denied",
        ),
    ] {
        assert_eq!(
            (held.in_words().as_str(), held.needs_a_person()),
            (words, needs)
        );
    }
    for (bytes, words) in [
        (0, "0 B"),
        (1024, "1.0 KiB"),
        (5 * 1024 * 1024, "5.0 MiB"),
        (u64::MAX, "16384.0 PiB"),
    ] {
        assert_eq!(bytes_in_words(bytes), words);
    }
}

proptest! {
    #[test]
    fn everything_newer_that_the_other_side_lacks_is_named_and_nothing_else(
        old in proptest::collection::btree_map("[a-c/]{1,4}", (0_u64..3, 95_i64..105), 0..20),
        here in proptest::collection::btree_map("[a-c/]{1,4}", 0_u64..3, 0..20),
    ) {
        let plan = plan(|_| {});
        let sets = fenced_sets(&plan, SiteLabel::Primary);
        let set = sets.last().unwrap();
        let listed: Vec<ListedObject> = old.iter().map(|(key, (size, second))| object(key, *size, *second)).collect();
        let pairs: Vec<(&str, u64)> = here.iter().map(|(key, size)| (key.as_str(), *size)).collect();
        let named = found(set, &listed, &pairs);
        let wanted: Vec<String> = old
            .iter()
            .filter(|(key, (size, second))| *second > 100 && here.get(*key) != Some(size))
            .map(|(key, _)| whole_key(set.there.1, key))
            .collect();
        prop_assert_eq!(named.iter().map(|o| o.key.clone()).collect::<Vec<_>>(), wanted);
        for held in &named {
            let key = held.key.strip_prefix("tables/finance/ledger/").unwrap();
            prop_assert_eq!(held.overwrites, here.contains_key(key));
        }
    }
}
