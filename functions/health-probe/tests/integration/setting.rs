//! Small worlds, and what is read back from them.

use detection::{CONTROL, Start, World};
use recovery::incident::Incident;
use recovery::signals::Signals;
use recovery::site::SiteLabel;
use recovery::verdict::{Observation, Probe, Signal};
use serde_json::{Value, json};

/// Nothing listens there: a site at this address refuses at once.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:1";

/// A world whose plan has this detection; references and addresses are filled in.
pub(crate) async fn world(change: impl FnOnce(&mut Value)) -> World {
    let mut start = Start::default();
    change(&mut start.plan);
    World::start(start).await.unwrap()
}

/// One vantage, and only the control plane is probed.
pub(crate) async fn small(change: impl FnOnce(&mut Value)) -> World {
    world(|plan| {
        plan["detection"]["vantages"] = json!([CONTROL]);
        plan["detection"]["policy"]["quorum"] = json!(1);
        plan["detection"]["probes"] = json!({});
        change(plan);
    })
    .await
}

/// The control region takes this for the address of a site from now on.
pub(crate) async fn moved(world: &World, site: SiteLabel, url: &str) {
    let vantage = world.vantage(CONTROL).unwrap();
    let plan = vantage.prober.ports.plan().await.unwrap();
    vantage.knows(&plan, site, url).await.unwrap();
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(world: &World, key: &str) -> T {
    let all = world.store.all();
    let bytes = all.get(key).unwrap_or_else(|| panic!("no {key}"));
    serde_json::from_slice(bytes).unwrap()
}

pub(crate) fn signals(world: &World, vantage: &str) -> Signals {
    read(world, &format!("signals/{vantage}.json"))
}

/// The newest observation of a site by the control region.
pub(crate) fn newest(world: &World, site: SiteLabel) -> Observation {
    let seen = signals(world, CONTROL).observations;
    seen.into_iter().rfind(|o| o.site == site).unwrap()
}

/// What a probe said of a site last; none if it said nothing.
pub(crate) fn signal(world: &World, site: SiteLabel, probe: &str) -> Option<Signal> {
    let probe: Probe = probe.parse().unwrap();
    let all = newest(world, site).signals;
    all.into_iter().find(|signal| signal.probe == probe)
}

pub(crate) fn outcome(world: &World, site: SiteLabel, probe: &str) -> String {
    signal(world, site, probe).map_or_else(|| "nothing".to_owned(), |s| s.outcome.to_string())
}

/// Every incident.
pub(crate) fn incidents(world: &World) -> Vec<Incident> {
    let all = world.store.all();
    let named = all
        .iter()
        .filter(|(key, _)| key.starts_with("incidents/incident-"));
    named
        .map(|(_, bytes)| serde_json::from_slice(bytes).unwrap())
        .collect()
}
