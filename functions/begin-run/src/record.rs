//! Which record a run restores at its target.

use aws::{Failure, Ports};
use recovery::baseline::BaselinePointer;
use recovery::failure::FailureName;
use recovery::run::Mode;
use recovery::site::SiteLabel;

/// The record that would be restored. A site that fails before it was captured leaves the record of the other one, which is the target
/// of a failover: its own objects are restored by id, as they were before it failed itself. Whoever approves must accept that by name.
/// A run that can wait waits for a record of the site that it leaves.
pub(crate) async fn choose_record(
    ports: &Ports,
    mode: Mode,
    from: SiteLabel,
) -> Result<BaselinePointer, Failure> {
    let pointer = ports.baseline_pointer().await?;
    let none = |why: String| Failure::new(FailureName::NoBaseline, why);
    let pointer = pointer.ok_or_else(|| {
        none("there is no baseline, so nothing could be restored; capture-baseline records one while the active site is healthy".to_owned())
    })?;
    if mode != Mode::Failover && pointer.site != from {
        return Err(none(format!(
            "nothing was captured at the {from} site since it became active; wait for the next capture, then start again"
        )));
    }
    // It must be readable now, not when it is needed.
    ports.baseline(&pointer.digest).await?;
    Ok(pointer)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use aws::keys;
    use jiff::Timestamp;
    use recovery::baseline::{BASELINE_FORMAT, Baseline};
    use recovery::inventory::Inventory;
    use recovery::site::{Epoch, PlanName, Region};

    use super::*;

    #[tokio::test]
    async fn only_a_failover_restores_the_record_of_another_site_than_it_leaves() {
        let (ports, ..) = Ports::in_memory(
            PlanName::new("p"),
            Region::new("us-west-2"),
            Arc::new(|| Timestamp::UNIX_EPOCH),
        );
        let (recorded, left) = (SiteLabel::Primary, SiteLabel::Secondary);
        let baseline = Baseline {
            format_version: BASELINE_FORMAT,
            epoch: Epoch::first(),
            inventory: Inventory {
                site: recorded,
                read_at: Timestamp::UNIX_EPOCH,
                resources: vec![],
                runs: vec![],
            },
            permissions: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        let pointer = BaselinePointer {
            format_version: BASELINE_FORMAT,
            digest: ports.store_baseline(&baseline).await.unwrap(),
            site: recorded,
            captured_at: Timestamp::UNIX_EPOCH,
            live: BTreeMap::new(),
            objects: 0,
        };
        ports.put(keys::BASELINE, &pointer).await.unwrap();
        for (mode, from, is_taken) in [
            (Mode::Failover, recorded, true),
            (Mode::Failover, left, true),
            (Mode::Switchover, recorded, true),
            (Mode::Switchover, left, false),
            (Mode::Drill, left, false),
        ] {
            let chosen = choose_record(&ports, mode, from).await;
            assert_eq!(chosen.is_ok(), is_taken, "{mode:?} {from}");
            if let Err(failure) = chosen {
                assert_eq!(failure.name, FailureName::NoBaseline);
            }
        }
    }
}
