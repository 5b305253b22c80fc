use std::cell::Cell;
use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use recovery::plan::Plan;
use recovery::site::SiteLabel;

use super::*;

/// Keys, sizes and seconds of a site's objects below a prefix.
type Site = BTreeMap<String, (u64, i64)>;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn plan() -> Plan {
    Plan::parse(include_bytes!("../../../infra/plan.example.json")).unwrap()
}

/// What S3 would answer, with pages of this size.
fn page(site: &Site, after: Option<&str>, size: usize) -> ListPage {
    let mut behind = site
        .iter()
        .filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    let objects = behind.by_ref().take(size);
    let objects = objects.map(|(key, (size, second))| ListedObject {
        key: key.clone(),
        size: *size,
        modified: at(*second),
    });
    ListPage {
        objects: objects.collect(),
        more: behind.next().is_some(),
    }
}

/// Walks the bucket of the example plan, in which other data sets lie. Says how many pages were read of each site, too.
fn walk(there: &Site, here: &Site, size: usize, room: usize) -> (Found, [usize; 2]) {
    let plan = plan();
    let sets = fenced_sets(&plan, SiteLabel::Primary);
    let reads = [Cell::new(0), Cell::new(0)];
    let count = |of: usize| reads[of].set(reads[of].get() + 1);
    let room = AtomicUsize::new(room);
    let walk = Walk {
        set: &sets[0],
        since: at(100),
        room: &room,
        there: async |after: Option<String>| {
            count(0);
            Ok(page(there, after.as_deref(), size))
        },
        here: async |after: Option<String>| {
            count(1);
            Ok(page(here, after.as_deref(), size))
        },
    };
    let found = futures::executor::block_on(walk.to_the_end());
    (found, [reads[0].get(), reads[1].get()])
}

fn site(objects: &[(&str, u64, i64)]) -> Site {
    let objects = objects.iter();
    objects
        .map(|(key, size, second)| ((*key).to_owned(), (*size, *second)))
        .collect()
}

fn keys(found: &Found) -> Vec<&str> {
    found.objects.iter().map(|o| o.key.as_str()).collect()
}

#[test]
fn little_is_listed_of_a_large_active_site_and_nothing_of_other_data_sets() {
    let many = |from: i64| {
        let keys = (0..1000).map(move |n| (format!("a/{n:04}"), (1, from)));
        keys.chain((0..1000).map(|n| (format!("tables/sales/{n:04}"), (1, 200))))
    };
    let mut there: Site = many(50).collect();
    there.insert("a/0500".to_owned(), (1, 200));
    there.insert("z".to_owned(), (1, 200));
    let here: Site = many(60).filter(|(key, _)| key != "z").collect();
    let (found, [read_there, read_here]) = walk(&there, &here, 10, 100);
    assert_eq!((keys(&found), found.problem.as_deref()), (vec!["z"], None));
    assert!(
        read_there <= 103 && read_here <= 4,
        "{read_there} and {read_here} pages were read"
    );
}

#[test]
fn a_listing_begins_close_before_the_key_that_it_is_for() {
    for (key, after) in [
        ("a/z", Some("a/y\u{10ffff}")),
        ("a/0", Some("a//\u{10ffff}")),
        ("a b ", Some("a b")),
        ("\u{e000}", None),
        ("", None),
    ] {
        assert_eq!(before(key).as_deref(), after, "{key:?}");
        assert!(
            before(key).is_none_or(|before| before.as_str() < key),
            "{key:?}"
        );
    }
}

#[test]
fn a_full_list_says_that_it_is_not_complete() {
    let there = site(&[("a", 1, 200), ("b", 1, 200), ("c", 1, 200)]);
    let (found, _) = walk(&there, &Site::new(), 2, 2);
    assert_eq!(keys(&found), ["a", "b"]);
    assert!(found.problem.is_some_and(|why| why.contains("are named")));
    let (found, _) = walk(&there, &Site::new(), 2, 3);
    assert_eq!(found.objects.len(), 3);
    assert_eq!(found.problem, None);
}

#[test]
fn a_site_that_does_not_answer_ends_the_list_with_the_reason() {
    let plan = plan();
    let sets = fenced_sets(&plan, SiteLabel::Primary);
    let there = site(&[("a", 1, 200), ("b", 1, 200), ("c", 1, 200)]);
    let room = AtomicUsize::new(10);
    let walk = Walk {
        set: &sets[0],
        since: at(100),
        room: &room,
        there: async |after: Option<String>| match after.as_deref() {
            Some("b") => Err("access denied".to_owned()),
            after => Ok(page(&there, after, 2)),
        },
        here: async |_| Ok(ListPage::default()),
    };
    let found = futures::executor::block_on(walk.to_the_end());
    assert_eq!(keys(&found), ["a", "b"]);
    assert_eq!(
        found.problem.as_deref(),
        Some("access denied; nothing behind b was looked at")
    );
}

fn objects() -> impl Strategy<Value = Site> {
    let key = prop_oneof![
        "[ab]{1,3}",
        "tables/(sales|sales2|finance/ledger)/[ab]{1,2}",
        "tables/[a\u{e4}]{1,2}"
    ];
    proptest::collection::btree_map(key, (0_u64..2, 95_i64..105), 0..25)
}

proptest! {
    #[test]
    fn page_by_page_the_same_is_found_as_in_one_look(there in objects(), here in objects(), size in 1_usize..4) {
        let (found, _) = walk(&there, &here, size, 1000);
        let wanted: Vec<&str> = there
            .iter()
            .filter(|(key, (size, second))| {
                let other = ["tables/sales/", "tables/finance/ledger/"].iter().any(|place| key.starts_with(place));
                !other && *second > 100 && here.get(*key).map(|(size, _)| size) != Some(size)
            })
            .map(|(key, _)| key.as_str())
            .collect();
        prop_assert_eq!(keys(&found), wanted);
        prop_assert_eq!(found.problem, None);
    }
}
