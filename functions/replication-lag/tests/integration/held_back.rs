//! What the fence held back, listed in a switchover over a plain S3 of two buckets with small pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws::buckets::Buckets;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use recovery::replication::{HeldBackDocument, MeasureAnswer};
use recovery::run::{Mode, RunDocument, Stage};
use recovery::site::{RunId, RunToken, SiteLabel};
use recovery::state::Fence;
use replication_lag::Event;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::setting::{Setting, begun, delta};

/// Objects of each answer.
const PAGE: usize = 2;

/// Bucket to keys, sizes and when they were written.
type Contents = BTreeMap<&'static str, BTreeMap<&'static str, (usize, &'static str)>>;

/// Answers listings of these buckets; any other bucket is denied.
async fn s3(contents: Contents) -> Buckets {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let contents = Arc::new(contents);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let contents = Arc::clone(&contents);
            tokio::spawn(async move {
                let mut asked = Vec::new();
                while !asked.windows(4).any(|w| w == b"\r\n\r\n") {
                    if stream.read_buf(&mut asked).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let asked = String::from_utf8(asked).unwrap();
                let target = asked.split(' ').nth(1).unwrap().to_owned();
                let (status, body) = answer(&contents, &target);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    let keys = Credentials::new("local", "local", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(address)
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build();
    Buckets::new(config)
}

fn answer(contents: &Contents, target: &str) -> (&'static str, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let asked = |name: &str| {
        let of = |pair: &str| {
            pair.strip_prefix(name)?
                .strip_prefix('=')
                .map(str::to_owned)
        };
        let value = query.split('&').find_map(of).unwrap_or_default();
        value.replace("%2F", "/").replace("%20", " ")
    };
    let Some(objects) = contents.get(path.trim_matches('/')) else {
        let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        return ("403 Forbidden", denied.to_owned());
    };
    let (prefix, after) = (asked("prefix"), asked("start-after"));
    let mut behind = objects
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix) && **key > after.as_str());
    let page: String = behind
        .by_ref()
        .take(PAGE)
        .map(|(key, (size, at))| {
            format!("<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>{at}</LastModified></Contents>")
        })
        .collect();
    let more = behind.next().is_some();
    let body =
        format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{page}</ListBucketResult>");
    ("200 OK", body)
}

/// A switchover that has begun: to the primary, which is fenced if so.
async fn begin(at: &Setting, is_fenced: bool) -> Event {
    let now = at.ports.now();
    let (run, token) = (RunId::new("run-1"), RunToken::new("arn:run-1"));
    let document = begun(at, Mode::Switchover, SiteLabel::Secondary, 1);
    at.ports
        .change_state(|state| {
            state.active_site = SiteLabel::Secondary;
            if is_fenced {
                let since = "2026-03-02T12:00:00Z".parse().unwrap();
                let fence = Fence::raised(RunId::new("incident-1"), since);
                state.fences.insert(SiteLabel::Primary, fence);
            }
            state.take_lock(&run, &token, Mode::Switchover, now)
        })
        .await
        .unwrap();
    at.ports
        .create("runs/run-1/run.json", &document)
        .await
        .unwrap();
    Event::Run { run, token }
}

async fn setting(contents: Contents) -> Setting {
    let sets = json!([
        delta("lake", "Tables", "sales"),
        {"type": "marker", "name": "denied", "buckets": {"primary": "other-one", "secondary": "other-two"}},
    ]);
    let mut at = Setting::new(sets, json!([]), json!({})).await;
    at.buckets = Some(s3(contents).await);
    at
}

const EARLY: &str = "2026-03-01T11:59:59.000Z";
const LATE: &str = "2026-03-01T12:00:01.000Z";

#[tokio::test]
async fn a_switchover_to_a_fenced_site_lists_what_never_arrived_and_a_listing_that_is_denied_stops_nothing()
 {
    let one = BTreeMap::from([
        ("sales/o/_delta_log/5.json", (7, LATE)),
        ("sales/o/a b.parquet", (1500, LATE)),
        ("sales/o/early.parquet", (3, EARLY)),
        ("sales/o/there.parquet", (3, LATE)),
        ("sales/o/z.parquet", (36, LATE)),
        ("sales2/x.parquet", (3, LATE)),
    ]);
    let two = BTreeMap::from([
        ("sales/o/_delta_log/5.json", (8, LATE)),
        ("sales/o/a.parquet", (1, LATE)),
        ("sales/o/b.parquet", (1, LATE)),
        ("sales/o/c.parquet", (1, LATE)),
        ("sales/o/there.parquet", (3, LATE)),
    ]);
    let at = setting(BTreeMap::from([("lake-one", one), ("lake-two", two)])).await;
    let event = begin(&at, true).await;
    let answer = at.call(event.clone()).await.unwrap();
    assert_eq!(answer.answer, MeasureAnswer::Measured, "{}", answer.reason);

    let listing: HeldBackDocument = at.read("runs/run-1/held-back.json");
    assert!(!listing.complete);
    assert_eq!(listing.since.to_string(), "2026-03-01T12:00:00Z");
    let [lake, denied] = listing.data_sets.as_slice() else {
        panic!("{listing:?}")
    };
    assert_eq!(
        (lake.count, lake.bytes, lake.overwrites, lake.complete),
        (3, 1543, 1, true)
    );
    assert_eq!(
        (lake.bucket.as_str(), lake.prefix.as_str()),
        ("lake-one", "sales")
    );
    assert_eq!((denied.count, denied.complete), (0, false));
    let why = denied.problem.clone().unwrap();
    assert!(
        why.contains("other-one") && why.contains("AccessDenied"),
        "{why}"
    );
    assert_eq!(
        at.text("runs/run-1/repair/held-back.csv"),
        "lake-one,sales/o/a%20b.parquet\nlake-one,sales/o/z.parquet\n"
    );
    assert_eq!(
        at.text("runs/run-1/repair/held-back-overwrites.csv"),
        "lake-one,sales/o/_delta_log/5.json\n"
    );

    let run: RunDocument = at.read("runs/run-1/run.json");
    assert!(run.is_finished(Stage::RecoveryPoints));
    let held = run.evidence.held_back.unwrap();
    assert_eq!((held.objects, held.bytes, held.overwrites), (3, 1543, 1));
    assert!(
        held.needs_a_person() && held.problems.len() == 1,
        "{held:?}"
    );
}

#[tokio::test]
async fn the_list_is_made_once_in_an_attempt_and_is_never_complete_by_being_short_of_time() {
    let lake = || BTreeMap::from([("sales/x.parquet", (3, LATE))]);
    let contents = BTreeMap::from([("lake-one", lake()), ("other-one", lake())]);
    let mut at = setting(contents).await;
    at.lake
        .replicated("sales/orders", crate::setting::ago(900))
        .await;
    let event = begin(&at, true).await;
    let first = at
        .call_for(event.clone(), std::time::Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(first.answer, MeasureAnswer::Continue, "{}", first.reason);
    let listing: HeldBackDocument = at.read("runs/run-1/held-back.json");
    assert!(!listing.complete);
    let why = listing.data_sets[0].problem.clone().unwrap();
    assert_eq!(why, "the time for it was over");
    let second = at.call(event).await.unwrap();
    assert_eq!(second.answer, MeasureAnswer::Measured);
    let again: HeldBackDocument = at.read("runs/run-1/held-back.json");
    assert_eq!(again, listing);
}

#[tokio::test]
async fn a_switchover_to_a_site_that_is_not_fenced_lists_nothing() {
    let at = setting(BTreeMap::new()).await;
    let event = begin(&at, false).await;
    let answer = at.call(event).await.unwrap();
    assert_eq!(answer.answer, MeasureAnswer::Measured);
    assert!(!at.store.all().contains_key("runs/run-1/held-back.json"));
    let run: RunDocument = at.read("runs/run-1/run.json");
    assert_eq!(run.evidence.held_back, None);
}
