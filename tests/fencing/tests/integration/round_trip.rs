//! Fence, restore, fence, restore: every object is as it was, each time.

use std::path::PathBuf;

use fencing::{Pace, Site, judge};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

async fn there_and_back_twice(inventory: Value) -> Vec<String> {
    let site = Site::start(inventory, Pace::QUICK).await.unwrap();
    let record = site.learn().await.unwrap();
    let before = site.inventory().await.unwrap();
    let mut broken = Vec::new();
    for round in 1..=2 {
        site.raise().await.unwrap();
        for _ in 0..3 {
            site.fence_once().await.unwrap();
        }
        if !site.is_verified().await.unwrap() {
            broken.push(format!("round {round}: the fence was not verified"));
        }
        let alive = drill::live::alive(&site.inventory().await.unwrap());
        broken.extend(
            alive
                .into_iter()
                .map(|a| format!("round {round}: fenced, and yet a live {a}")),
        );
        site.lift().await.unwrap();
        site.order_reset(&record).await.unwrap();
        site.restore_once().await.unwrap();
        let left = judge::once_restored(&site, &before).await.unwrap();
        broken.extend(left.into_iter().map(|b| format!("round {round}: {b}")));
    }
    site.stop().await;
    broken
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_estate_is_as_it_was_object_by_object() {
    let path = drill::build::repository().join("tests/drill/inventories/example.json");
    let text = std::fs::read_to_string(path).unwrap();
    let broken = there_and_back_twice(serde_json::from_str(&text).unwrap()).await;
    assert_eq!(broken, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn real_estates_are_as_they_were_object_by_object() {
    let folder = drill::build::repository().join("../shared/data/workspaces");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no inventories of real workspaces beside this repository");
        return;
    };
    let files: Vec<PathBuf> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let broken = there_and_back_twice(serde_json::from_str(&text).unwrap()).await;
        assert_eq!(broken, Vec::<String>::new(), "{}", file.display());
    }
}

fn status() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![Just(None), Just(Some("UNPAUSED")), Just(Some("PAUSED")),]
}

fn setting(mut setting: Value, status: Option<&str>, odd: u8) -> Value {
    if let Some(status) = status {
        setting["pause_status"] = json!(status);
    }
    // A trigger with two kinds is one that the platform refuses.
    let fields = setting.as_object().into_iter().flatten();
    let kind = fields.filter(|(_, value)| value.is_object());
    let kind = kind.map(|(key, _)| key.clone()).next();
    let setting_or_kind = match kind {
        Some(kind) => &mut setting[kind],
        None => &mut setting,
    };
    if odd == 0 {
        setting_or_kind["nobody_knows"] = json!({"deep": [1, null, "\u{1F980}", 1e-7]});
    }
    setting
}

/// Odd and repeated names, ids up to the largest, fields and values that nobody knows.
fn job() -> impl Strategy<Value = (i64, Map<String, Value>)> {
    let name = prop_oneof![
        Just("same name".to_owned()),
        Just(String::new()),
        "\\PC{1,40}",
        Just("x".repeat(300)),
    ];
    let id = prop_oneof![1_i64..50, (i64::MAX - 50)..i64::MAX];
    let cron = prop_oneof![
        Just("0 0 3 * * ?"),
        Just("0 0/5 8-18 ? * MON-FRI"),
        Just("0 0 0 L-3 * ?"),
        Just("37 2/9 * ? * 2#1 2199"),
    ];
    (id, name, cron, 0_u8..8, status(), 0_u8..3, 1_i64..5).prop_map(
        |(id, name, cron, place, status, odd, runs)| {
            let mut settings = Map::new();
            settings.insert("name".to_owned(), json!(name));
            if runs > 1 {
                settings.insert("max_concurrent_runs".to_owned(), json!(runs));
            }
            if odd == 1 {
                settings.insert("performance_target".to_owned(), json!("SOMETHING_NEW"));
            }
            let quartz = json!({"quartz_cron_expression": cron, "timezone_id": "Europe/Berlin"});
            let places = match place {
                0 | 1 => vec![("schedule", setting(quartz, status, odd))],
                2 => vec![("continuous", setting(json!({}), status, odd))],
                3 => vec![(
                    "trigger",
                    setting(json!({"file_arrival": {"url": "s3://a/b/"}}), status, odd),
                )],
                4 => vec![(
                    "trigger",
                    setting(
                        json!({"periodic": {"interval": 1, "unit": "DAYS"}}),
                        status,
                        odd,
                    ),
                )],
                5 => vec![(
                    "trigger",
                    setting(
                        json!({"table_update": {"table_names": ["a.b.c"]}}),
                        status,
                        odd,
                    ),
                )],
                6 => vec![(
                    "trigger",
                    setting(json!({"something_new": {"x": 1}}), status, odd),
                )],
                _ => vec![],
            };
            settings.extend(places.into_iter().map(|(k, v)| (k.to_owned(), v)));
            (id, settings)
        },
    )
}

#[test]
fn whatever_the_jobs_are_like_they_are_as_they_were() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    });
    let jobs = proptest::collection::btree_map(0_usize..1000, job(), 0..25);
    runner
        .run(&jobs, |jobs| {
            let by_id: std::collections::BTreeMap<i64, Map<String, Value>> = jobs.into_values().collect();
            let jobs: Vec<Value> = by_id
                .into_iter()
                .map(|(id, settings)| json!({"job_id": id, "settings": settings, "odd_field": id % 7}))
                .collect();
            let broken = runtime.block_on(there_and_back_twice(json!({"jobs": jobs})));
            prop_assert_eq!(broken, Vec::<String>::new());
            Ok(())
        })
        .unwrap();
}
