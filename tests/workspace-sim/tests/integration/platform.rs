use serde_json::{Value, json};
use workspace_sim::{Inventory, SimError, Simulator};

use crate::support::{Site, every_minute, job, options};

fn periodic(pause: &str) -> Value {
    json!({"trigger": {"pause_status": pause, "periodic": {"interval": 1, "unit": "HOURS"}}})
}

#[tokio::test]
async fn schedules_and_periods_fire_unless_paused() {
    let absent = json!({"schedule": {"quartz_cron_expression": "0 * * * * ?", "timezone_id": "Europe/Amsterdam"}});
    let list = json!({"triggers": [{"periodic": {"interval": 30, "unit": "MINUTES"}},
        {"pause_status": "PAUSED", "schedule": {"quartz_cron_expression": "* * * * * ?", "timezone_id": "UTC"}}]});
    let broken = json!({"schedule": {"quartz_cron_expression": "soon", "timezone_id": "UTC"}});
    let jobs = json!([
        job(1, absent),
        job(2, every_minute("PAUSED")),
        job(3, periodic("UNPAUSED")),
        job(4, periodic("PAUSED")),
        job(5, list),
        job(6, broken)
    ]);
    let mut options = options(json!({"jobs": jobs}));
    options.time_scale = 6000.0;
    options.delays.run_duration = 5.0;
    let site = Site::with(options).await;
    for (id, cause) in [(1, "schedule"), (3, "periodic"), (5, "periodic")] {
        let events = site.until_events("run_started", id, 2).await;
        assert!(events.iter().all(|e| e["cause"] == cause), "{events:?}");
    }
    let times = site.until_events("run_started", 3, 3).await;
    let at = |n: usize| times[n]["sim_ms"].as_i64().unwrap();
    assert_eq!((at(2) - at(1), at(1) - at(0)), (3_600_000, 3_600_000));
    assert_eq!(
        site.until_events("run_ended", 1, 1).await[0]["result"],
        "SUCCESS"
    );
    assert_eq!(site.events("schedule_unreadable").await[0]["job_id"], 6);
    let started = site.events("run_started").await;
    assert!(
        started
            .iter()
            .all(|e| ![2, 4, 6].contains(&e["job_id"].as_i64().unwrap()))
    );
    let live = site.events("job_live").await;
    let places: Vec<_> = live
        .iter()
        .map(|e| (e["job_id"].as_i64().unwrap(), e["place"].as_str().unwrap()))
        .collect();
    assert_eq!(
        places,
        [
            (1, "schedule"),
            (3, "trigger"),
            (5, "triggers[0]"),
            (6, "schedule")
        ]
    );
    // Pausing all that is live leaves nothing to fire.
    for (id, mut settings) in [
        (1, every_minute("PAUSED")),
        (3, periodic("PAUSED")),
        (5, json!({})),
    ] {
        if id == 5 {
            settings["triggers"] = json!([{"pause_status": "PAUSED", "periodic": {"interval": 30, "unit": "MINUTES"}}]);
        }
        site.post(
            "/api/2.2/jobs/update",
            json!({"job_id": id, "new_settings": settings}),
        )
        .await;
    }
    let before = site.events("run_started").await.len();
    site.pass(4 * 3600).await;
    assert_eq!(site.events("run_started").await.len(), before);
    let off = site
        .events("job_live")
        .await
        .into_iter()
        .filter(|e| e["live"] == false)
        .count();
    assert_eq!(off, 3);
}

#[tokio::test]
async fn a_continuous_job_always_has_one_run() {
    let mut options =
        options(json!({"jobs": [job(1, json!({"continuous": {"pause_status": "UNPAUSED"}}))]}));
    options.delays.run_duration = 20.0;
    let site = Site::with(options).await;
    let active = "/api/2.2/jobs/runs/list?active_only=true&job_id=1";
    let first = site.get(active).await["runs"][0]["run_id"].clone();
    site.post("/api/2.2/jobs/runs/cancel", json!({"run_id": first}))
        .await;
    let events = site.until_events("run_started", 1, 3).await;
    assert!(events.iter().all(|e| e["cause"] == "continuous"));
    let list = site.get(active).await;
    assert_eq!(list["runs"].as_array().unwrap().len(), 1);
    let pause = json!({"job_id": 1, "new_settings": {"continuous": {"pause_status": "PAUSED"}}});
    site.post("/api/2.2/jobs/update", pause).await;
    site.post("/api/2.2/jobs/runs/cancel-all", json!({"job_id": 1}))
        .await;
    site.until(active, |list| list.get("runs").is_none()).await;
    let before = site.events("run_started").await.len();
    site.pass(100).await;
    assert_eq!(site.events("run_started").await.len(), before);
}

#[tokio::test]
async fn files_and_tables_fire_when_told() {
    let trigger = |pause: &str| json!({"trigger": {"pause_status": pause, "file_arrival": {"url": "/Volumes/in/"}}});
    let table = json!({"trigger": {"table_update": {"table_names": ["a.b.c"]}}});
    let jobs = json!([
        job(1, trigger("UNPAUSED")),
        job(2, trigger("PAUSED")),
        job(3, table)
    ]);
    let site = Site::start(json!({"jobs": jobs})).await;
    let arrived = site
        .post("/__sim/file-arrival", json!({"url": "/Volumes/in/x"}))
        .await;
    assert_eq!(arrived["run_ids"].as_array().unwrap().len(), 1);
    assert_eq!(
        site.post("/__sim/file-arrival", json!({"job_id": 2})).await["run_ids"],
        json!([])
    );
    assert_eq!(
        site.post("/__sim/file-arrival", json!({"url": "/elsewhere"}))
            .await["run_ids"],
        json!([])
    );
    site.post("/__sim/table-update", json!({"table": "a.b.c"}))
        .await;
    let causes: Vec<_> = site
        .events("run_started")
        .await
        .iter()
        .map(|e| e["cause"].clone())
        .collect();
    assert_eq!(causes, [json!("file_arrival"), json!("table_update")]);
}

#[tokio::test]
async fn in_the_dark_nothing_answers_and_a_stopped_platform_does_nothing() {
    let mut options = options(json!({"jobs": [job(1, every_minute("UNPAUSED"))],
        "clusters": [{"cluster_id": "c", "state": "RUNNING"}]}));
    options.delays.cluster_stop = 600.0;
    options.time_scale = 600.0;
    let site = Site::with(options).await;
    site.until_events("run_started", 1, 1).await;
    site.post("/api/2.1/clusters/delete", json!({"cluster_id": "c"}))
        .await;
    site.post("/__sim/dark", json!({"platform": "stopped"}))
        .await;
    let before = site.events("run_started").await.len();
    let hung = tokio::spawn(site.request("GET", "/api/2.2/jobs/list").send());
    site.pass(1200).await;
    assert_eq!(site.events("run_started").await.len(), before);
    assert!(
        site.events("cluster_state")
            .await
            .iter()
            .all(|e| e["state"] == "TERMINATING")
    );
    assert!(!hung.is_finished());
    site.post("/__sim/light", json!({})).await;
    assert!(
        hung.await.unwrap().is_err(),
        "a hung connection is dropped, not answered"
    );
    let light = site.events("light").await[0]["sim_ms"].as_i64().unwrap();
    let runs = site.until_events("run_started", 1, before + 2).await;
    let dark = site.events("dark").await[0]["sim_ms"].as_i64().unwrap();
    assert!(
        runs.iter()
            .all(|e| !(dark + 1..light).contains(&e["sim_ms"].as_i64().unwrap())),
        "{runs:?}"
    );
    site.until("/api/2.1/clusters/get?cluster_id=c", |c| {
        c["state"] == "TERMINATED"
    })
    .await;
    // A running platform goes on behind the darkness.
    site.post("/__sim/dark", json!({"platform": "running"}))
        .await;
    let before = site.events("run_started").await.len();
    site.until_events("run_started", 1, before + 2).await;
    site.post("/__sim/light", json!({})).await;
    site.get("/api/2.2/jobs/list").await;
}

#[tokio::test]
async fn credentials_are_checked_expire_and_can_be_taken_away() {
    let site = Site::start(json!({})).await;
    let token_url = format!("{}/oidc/v1/token", site.sim.url());
    let ask = async |secret: &str| {
        let form = [("grant_type", "client_credentials"), ("scope", "all-apis")];
        let request = site
            .http
            .post(&token_url)
            .basic_auth("sim-client", Some(secret))
            .form(&form);
        let response = request.send().await.unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let me = async |token: &str| {
        let url = format!("{}/api/2.0/preview/scim/v2/Me", site.sim.url());
        site.http.get(url).bearer_auth(token).send().await.unwrap()
    };
    let (status, refused) = ask("wrong").await;
    assert_eq!((status, &refused["error"]), (401, &json!("invalid_client")));
    let (_, token) = ask("sim-secret").await;
    assert_eq!(token["expires_in"], 3600);
    let token = token["access_token"].as_str().unwrap();
    let answer = me(token).await;
    assert_eq!(answer.headers()["x-databricks-org-id"], "77");
    assert_eq!(
        answer.json::<Value>().await.unwrap()["userName"],
        "sim-client"
    );
    assert_eq!(me("nonsense").await.status(), 401);
    site.post(
        "/__sim/credentials",
        json!({"state": "ok", "expire_tokens": true}),
    )
    .await;
    assert_eq!(me(token).await.status(), 401);
    for (state, api, oauth) in [
        ("revoked", 401, 401),
        ("forbidden", 403, 200),
        ("ok", 200, 200),
    ] {
        site.post("/__sim/credentials", json!({"state": state}))
            .await;
        assert_eq!(me("sim-token").await.status(), api, "{state}");
        assert_eq!(ask("sim-secret").await.0, oauth, "{state}");
    }
    assert_eq!(
        site.call("POST", "/__sim/credentials", json!({"stat": "ok"}))
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn only_loopback_addresses_are_served() {
    let mut open = options(json!({}));
    open.listen = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(
        Simulator::start(open).await,
        Err(SimError::NotLoopback(_))
    ));
    let mut frozen = options(json!({}));
    frozen.time_scale = 0.0;
    assert!(matches!(
        Simulator::start(frozen).await,
        Err(SimError::TimeScale(_))
    ));
}

#[tokio::test]
async fn twelve_thousand_jobs_are_served() {
    let jobs: Vec<Value> = (1..=12_000)
        .map(|id| job(id, periodic("UNPAUSED")))
        .collect();
    let site = Site::start(json!({"jobs": jobs})).await;
    let first = site.get("/api/2.2/jobs/list?limit=100").await;
    assert_eq!(first["jobs"].as_array().unwrap().len(), 100);
    let document = site.get("/__sim/inventory").await;
    let again = Inventory::from_json(document).unwrap();
    assert_eq!(again.items("jobs").count(), 12_000);
}
