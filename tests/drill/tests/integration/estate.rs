//! An estate is exported by a token that only reads, and rehearsed before a drill plays it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use databricks::{
    Connections, Credential, RateShare, Retries, Secret, Settings, Timeouts, Workspace,
    WorkspaceUrl,
};
use drill::Scenario;
use drill::estate::Estate;
use serde_json::{Value, json};
use workspace_sim::{Delays, Inventory, SimOptions, Simulator};

use crate::checker;

/// The example with secrets in the places where people leave them.
fn with_secrets() -> Value {
    let text = include_str!("../../inventories/example.json");
    let mut document: Value = serde_json::from_str(text).unwrap();
    let cluster = document["clusters"][0].as_object_mut().unwrap();
    cluster.insert(
        "spark_env_vars".to_owned(),
        json!({"DB_PASSWORD": "hunter2-env"}),
    );
    cluster.insert(
        "spark_conf".to_owned(),
        json!({"fs.s3a.secret.key": "hunter2-conf"}),
    );
    document
}

async fn simulator(folder: &Path) -> Simulator {
    Simulator::start(SimOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        inventory: Inventory::from_json(with_secrets()).unwrap(),
        workspace_id: 77,
        rate_limits: false,
        rate_scale: 1.0,
        record: Some(folder.join("export.jsonl")),
        time_scale: 1.0,
        delays: Delays::default(),
    })
    .await
    .unwrap()
}

fn workspace(url: &str) -> Workspace {
    Workspace::connect(Settings {
        url: WorkspaceUrl::parse(url).unwrap(),
        workspace_id: "1".parse().unwrap(),
        credential: Credential::Token(Secret::new("sim-token")),
        timeouts: Timeouts::default(),
        share: RateShare::new(100).unwrap(),
        retries: Retries::On,
        connections: Connections::Pooled,
        time_scale: 1.0,
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_only_reads_holds_no_secret_and_is_an_inventory_for_a_drill() {
    let folder = tempfile::tempdir().unwrap();
    let sim = simulator(folder.path()).await;
    let export = sites::export(&workspace(&sim.url()), jiff::Timestamp::now())
        .await
        .unwrap();
    sim.stop().await;
    assert_eq!(export.left_out, Vec::<String>::new());
    let text = export.document.to_string();
    assert!(!text.contains("hunter2"), "a secret is in the export");
    assert!(export.redacted >= 2 && text.contains("DB_PASSWORD"));
    // Every object is there, by name.
    let original = with_secrets();
    let exported = Inventory::from_json(export.document.clone()).unwrap();
    let names = |document: &Value, kind: &str, pointer: &str| -> Vec<String> {
        let items = document[kind].as_array().unwrap().iter();
        let mut names: Vec<String> = items
            .filter_map(|item| Some(item.pointer(pointer)?.as_str()?.to_owned()))
            .collect();
        names.sort();
        names
    };
    for (kind, pointer) in [
        ("jobs", "/settings/name"),
        ("pipelines", "/name"),
        ("warehouses", "/name"),
        ("instance_pools", "/instance_pool_name"),
        ("alerts", "/display_name"),
    ] {
        let wanted = names(&original, kind, pointer);
        assert!(!wanted.is_empty(), "the example has no {kind}");
        assert_eq!(names(&exported.to_json(), kind, pointer), wanted, "{kind}");
    }
    // The drill takes it, and rehearses what it really holds.
    let file = folder.path().join("inventory.json");
    std::fs::write(&file, export.document.to_string()).unwrap();
    let now = jiff::Timestamp::now();
    let rehearsed = |file: Option<&Path>| {
        let estate = Estate::load(file, Scenario::Failover).unwrap();
        drill::rehearsal::of(&estate, now).unwrap()
    };
    let (of_export, of_example) = (rehearsed(Some(&file)), rehearsed(None));
    let jobs = |r: &recovery::rehearsal::Rehearsal| {
        let lane = r.fence.iter().find(|lane| lane.lane == "Jobs");
        lane.map(|lane| lane.requests)
    };
    assert_eq!(jobs(&of_export), jobs(&of_example));
    assert!(jobs(&of_export) > Some(0));
    assert!(drill::rehearsal::in_words(&of_export).contains("RTO, predicted"));
    // Nothing but reading, and nothing that Databricks does not know.
    let recording = folder.path().join("export.jsonl");
    let lines = std::fs::read_to_string(&recording).unwrap();
    for line in lines.lines() {
        let exchange: Value = serde_json::from_str(line).unwrap();
        assert_eq!(exchange["method"], "GET", "{line}");
    }
    checker::check(&[recording]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_takes_its_token_from_the_environment_and_overwrites_no_file() {
    let Some(binary) = export_command() else {
        eprintln!("skipped: export-inventory is not built (cargo build --workspace --bins)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let sim = simulator(folder.path()).await;
    let out = folder.path().join("inventory.json");
    let run = |token: &'static str| {
        let mut command = Command::new(&binary);
        command.args(["--url", &sim.url(), "--out"]).arg(&out);
        command.env("DATABRICKS_TOKEN", token).stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let limit = Duration::from_secs(120);
    let refused = tokio::time::timeout(limit, run("wrong"))
        .await
        .unwrap()
        .unwrap();
    assert!(!refused.status.success() && !out.exists());
    let done = tokio::time::timeout(limit, run("sim-token"))
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    assert!(said.contains("were replaced"), "{said}");
    let again = tokio::time::timeout(limit, run("sim-token"))
        .await
        .unwrap()
        .unwrap();
    assert!(!again.status.success(), "a file was overwritten");
    sim.stop().await;
}

fn export_command() -> Option<std::path::PathBuf> {
    let folder = match std::env::var_os("DRILL_BINARIES") {
        Some(folder) => folder.into(),
        None => drill::build::repository().join("target/debug"),
    };
    let binary = folder.join("export-inventory");
    binary.is_file().then_some(binary)
}
