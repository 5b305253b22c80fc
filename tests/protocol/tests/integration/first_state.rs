//! Where no state is stored nothing takes its place: that would make the primary the active site, whatever the sites do.

use std::sync::Arc;

use aws::store::{MemoryStore, Store};
use aws::{Ports, keys};
use recovery::failure::FailureName;
use recovery::site::SiteLabel;
use serde_json::{Value, json};

use crate::world::{act, begin, over, world};

fn create_state() -> Value {
    json!({"act": "create-state", "who": "Ada", "why": "new stack"})
}

/// A bucket that holds these documents of the world, and no state.
async fn bucket_with(prefixes: &[&str]) -> Ports {
    let ports = world().await;
    let store = MemoryStore::default();
    for prefix in prefixes {
        for key in ports.store.list(prefix).await.unwrap() {
            let stored = ports.store.get(&key).await.unwrap().unwrap();
            store.create(&key, stored.bytes).await.unwrap();
        }
    }
    over(&ports, Arc::new(store))
}

/// Review finding 15: a bucket that was copied without its state made the primary active and unfenced.
#[tokio::test]
async fn a_state_that_is_missing_beside_baselines_or_runs_is_corrupt_and_not_begun_anew() {
    let ports = bucket_with(&["plan.json", "baselines/"]).await;
    let refused = begin(&ports).await.unwrap_err();
    assert_eq!(refused.name, FailureName::StateCorrupt, "{refused}");
    let refused = act(&ports, create_state()).await.unwrap_err();
    assert_eq!(refused.name, FailureName::StateCorrupt, "{refused}");
    assert!(refused.message.contains("restore its newest version"));
    assert!(ports.store.get(keys::STATE).await.unwrap().is_none());
    // The first version wrote no state before its first run: a person says so.
    let mut confirmed = create_state();
    confirmed["confirm"] = json!(ports.plan_name);
    act(&ports, confirmed).await.unwrap();
    assert!(ports.state().await.is_ok());

    let ports = bucket_with(&["plan.json"]).await;
    ports
        .put(&format!("runs/{}/run.json", "old"), &json!({}))
        .await
        .unwrap();
    let refused = act(&ports, create_state()).await.unwrap_err();
    assert_eq!(refused.name, FailureName::StateCorrupt, "{refused}");
}

#[tokio::test]
async fn a_new_stack_acts_only_when_a_person_has_made_its_first_state() {
    let ports = bucket_with(&["plan.json"]).await;
    let refused = ports.state().await.unwrap_err();
    assert_eq!(refused.name, FailureName::StateCorrupt);
    assert!(refused.message.contains("create-state"), "{refused}");
    act(&ports, create_state()).await.unwrap();
    let state = ports.state().await.unwrap();
    assert_eq!(state.active_site, SiteLabel::Primary);
    // A repeat, also after the state has lived.
    ports
        .change_state(|state| {
            state.active_site = SiteLabel::Secondary;
            Ok(())
        })
        .await
        .unwrap();
    act(&ports, create_state()).await.unwrap();
    let state = ports.state().await.unwrap();
    assert_eq!(state.active_site, SiteLabel::Secondary);
}

#[tokio::test]
async fn the_state_of_another_plan_is_not_ours() {
    let ports = world().await;
    let stored = ports.store.get(keys::STATE).await.unwrap().unwrap();
    let mut state: Value = serde_json::from_slice(&stored.bytes).unwrap();
    state["plan"] = json!("another");
    let bytes = serde_json::to_vec(&state).unwrap();
    ports
        .store
        .replace(keys::STATE, bytes, &stored.tag)
        .await
        .unwrap();
    let refused = begin(&ports).await.unwrap_err();
    assert_eq!(refused.name, FailureName::StateCorrupt, "{refused}");
    assert!(refused.message.contains("another"), "{refused}");
}
