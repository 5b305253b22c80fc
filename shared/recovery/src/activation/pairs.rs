//! Which object of the target stands for which object of the record.

use std::collections::BTreeMap;

use super::Phase;
use super::debts::Debt;
use crate::inventory::{Inventory, Resource};
use crate::kind::Kind;

/// What is restored: an inventory, and in place of what it has of them the objects that were owed before.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What the site ran.
    pub inventory: &'a Inventory,
    /// What it did not run since nobody could bring it up there.
    pub debts: &'a [Debt],
}

impl<'a> From<&'a Inventory> for Record<'a> {
    /// Nothing is owed.
    fn from(inventory: &'a Inventory) -> Self {
        Self {
            inventory,
            debts: &[],
        }
    }
}

/// Why an object of the record has no twin, or too many.
pub(super) fn unpaired(originals: usize, twins: usize) -> String {
    if twins == 0 {
        "the target has no object of this name".to_owned()
    } else {
        format!("the name stands {originals} times in the baseline and {twins} times at the target")
    }
}

/// The objects of both readings by what identifies them: across sites kind and key, at one and the same site kind and id.
pub(super) struct Pairs<'a>(BTreeMap<(Kind, &'a str), Pair<'a>>);

/// The objects of the record and those of the target that have one identity.
type Pair<'a> = (Vec<&'a Resource>, Vec<&'a Resource>);

impl<'a> Pairs<'a> {
    pub(super) fn of(phase: Phase, record: Record<'a>, target: &'a Inventory) -> Self {
        let same_site = record.inventory.site == target.site;
        let identity = |r: &'a Resource| {
            let text = if same_site { &r.id } else { &r.key };
            (r.kind, text.as_str())
        };
        let mut pairs: BTreeMap<_, Pair<'a>> = BTreeMap::new();
        for original in originals(phase, record) {
            pairs
                .entry(identity(original.recorded))
                .or_default()
                .0
                .push(original.wanted);
        }
        for twin in &target.resources {
            pairs.entry(identity(twin)).or_default().1.push(twin);
        }
        Self(pairs)
    }

    /// Those of some kinds.
    pub(super) fn of_kinds(
        &self,
        is_meant: impl Fn(Kind) -> bool,
    ) -> impl Iterator<Item = &Pair<'a>> {
        let meant = self.0.iter().filter(move |((kind, _), _)| is_meant(*kind));
        meant.map(|(_, pair)| pair)
    }

    /// The objects of the target that are this one of the record.
    pub(super) fn twins_of(&self, original: &Resource) -> &[&'a Resource] {
        let holds =
            |(originals, _): &&Pair<'a>| originals.iter().any(|o| std::ptr::eq(*o, original));
        self.0
            .values()
            .find(holds)
            .map_or(&[][..], |(_, twins)| twins.as_slice())
    }
}

/// An object as it was recorded, which gives its identity, and as it is wanted.
struct Original<'a> {
    recorded: &'a Resource,
    wanted: &'a Resource,
}

/// What the record wants in a phase: each object that is owed as the debt says, unless it was recorded as it should be.
fn originals<'a>(phase: Phase, record: Record<'a>) -> Vec<Original<'a>> {
    let all = record.inventory.resources.iter();
    let mut all: Vec<Original<'a>> = all
        .map(|recorded| Original {
            recorded,
            wanted: recorded,
        })
        .collect();
    let debts = record.debts.iter().filter(|debt| debt.phase == phase);
    let debts: Vec<&Debt> = debts.collect();
    if debts.is_empty() {
        return all;
    }
    let mut places: BTreeMap<(Kind, &str), Vec<usize>> = BTreeMap::new();
    for (place, original) in all.iter().enumerate() {
        let key = (original.recorded.kind, original.recorded.key.as_str());
        places.entry(key).or_default().push(place);
    }
    for debt in debts {
        let key = (debt.original.kind, debt.original.key.as_str());
        let same = places.get(&key).map_or(&[][..], Vec::as_slice);
        match same {
            [place] => {
                if let Some(one) = all.get_mut(*place)
                    && !debt.is_settled_by(one.recorded)
                {
                    one.wanted = &debt.original;
                }
            }
            // Gone from the record, or not the only one of its name: it is listed, and stays owed.
            _ => all.push(Original {
                recorded: &debt.original,
                wanted: &debt.original,
            }),
        }
    }
    all
}
