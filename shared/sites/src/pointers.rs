//! The pointers in SSM that outside tools follow. `state.json` is the truth; they are asserted from it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use aws::{Failure, Ports, keys};
use futures::future::join_all;
use recovery::failure::FailureName;
use recovery::plan::Plan;
use recovery::site::{Region, SiteLabel};

/// What every region is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointers {
    values: BTreeMap<String, String>,
    /// What people set in the control region. There it is an input: a copy of it may be older than a correction.
    set_by_people: BTreeSet<String>,
}

impl Pointers {
    /// The pointers for an active site and the URLs of both.
    #[must_use]
    pub fn new(plan: &Plan, active: SiteLabel, urls: &BTreeMap<SiteLabel, String>) -> Self {
        let mut values = BTreeMap::new();
        let mut set_by_people = BTreeSet::new();
        values.insert(keys::active_site(&plan.name), active.as_str().to_owned());
        for (site, url) in urls {
            let name = keys::workspace_url(&plan.name, *site);
            values.insert(name.clone(), url.clone());
            set_by_people.insert(name);
        }
        if let Some(url) = urls.get(&active) {
            values.insert(keys::active_workspace_url(&plan.name), url.clone());
        }
        Self {
            values,
            set_by_people,
        }
    }

    /// Adds the HTTP path of a warehouse at the active site, and gives it.
    pub fn add_warehouse(&mut self, plan: &Plan, name: &str, id: &str) -> String {
        let path = format!("/sql/1.0/warehouses/{id}");
        self.values
            .insert(keys::active_warehouse(&plan.name, name), path.clone());
        path
    }

    /// All of them.
    #[must_use]
    pub const fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// Those that are written in a region: all, but in the control region not the sites' workspace URLs, which people set there.
    fn written_in<'a>(
        &'a self,
        plan: &Plan,
        region: &Region,
    ) -> impl Iterator<Item = (&'a String, &'a String)> {
        let is_control = *region == plan.control_region;
        self.values
            .iter()
            .filter(move |(name, _)| !(is_control && self.set_by_people.contains(*name)))
    }
}

/// Makes the pointers say what they should in the control region and both sites' regions, at the same time, and reads
/// back what was written. The sites' workspace URLs in the control region are never written: people set them there. A region that does not answer within `patience` is an error of its own and holds up nothing.
pub async fn assert_pointers(
    ports: &Ports,
    plan: &Plan,
    pointers: &Pointers,
    patience: Duration,
) -> Vec<(Region, Result<usize, Failure>)> {
    let mut regions = vec![plan.control_region.clone()];
    for site in SiteLabel::ALL {
        let region = &plan.sites.get(site).region;
        if !regions.contains(region) {
            regions.push(region.clone());
        }
    }
    join_all(regions.into_iter().map(|region| async move {
        let result = within(patience, &region, assert_in(ports, plan, &region, pointers)).await;
        (region, result)
    }))
    .await
}

async fn within<R>(
    patience: Duration,
    region: &Region,
    work: impl Future<Output = Result<R, Failure>>,
) -> Result<R, Failure> {
    tokio::time::timeout(patience, work)
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(
                FailureName::Transient,
                format!(
                    "SSM in {region} did not answer within {} s",
                    patience.as_secs_f64()
                ),
            ))
        })
}

/// Writes what differs; says how many did.
async fn assert_in(
    ports: &Ports,
    plan: &Plan,
    region: &Region,
    pointers: &Pointers,
) -> Result<usize, Failure> {
    let mut changed = 0;
    for (name, value) in pointers.written_in(plan, region) {
        if ports.parameters.get(region, name).await?.as_ref() == Some(value) {
            continue;
        }
        ports.parameters.put(region, name, value).await?;
        changed += 1;
        if ports.parameters.get(region, name).await?.as_ref() != Some(value) {
            return Err(Failure::new(
                FailureName::Transient,
                format!("parameter {name} in {region} does not yet say what was written"),
            ));
        }
    }
    Ok(changed)
}
