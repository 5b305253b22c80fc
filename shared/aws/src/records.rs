//! Records of sites and what is owed of them: packed documents that are named by their digest and never changed.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use recovery::activation::Phase;
use recovery::activation::debts::{Debt, Debts, DebtsPointer};
use recovery::baseline::{Baseline, BaselinePointer};
use recovery::failure::FailureName;
use recovery::run::RunDocument;
use recovery::site::{ContentDigest, SiteLabel};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::documents::{decode, encode};
use crate::{Failure, Ports, keys};

/// No stored document unpacks to more than this.
const LARGEST_DOCUMENT: u64 = 512 * 1024 * 1024;

/// What restores objects and may leave some of them owed.
const OWING_PHASES: [Phase; 4] = [
    Phase::Pools,
    Phase::Compute,
    Phase::JobConcurrency,
    Phase::Schedules,
];

impl Ports {
    /// Which baseline counts, if any.
    ///
    /// # Errors
    /// `StateCorrupt`, or what the store said.
    pub async fn baseline_pointer(&self) -> Result<Option<BaselinePointer>, Failure> {
        self.read(keys::BASELINE).await
    }

    /// A baseline by its digest; its content is checked against it.
    ///
    /// # Errors
    /// `NoBaseline` if it is gone, `StateCorrupt` if it is not what its name says.
    pub async fn baseline(&self, digest: &ContentDigest) -> Result<Baseline, Failure> {
        let key = keys::baseline(digest);
        let baseline: Baseline = self.read_packed(&key).await?.ok_or_else(|| {
            Failure::new(
                FailureName::NoBaseline,
                format!("the baseline {key} is gone"),
            )
        })?;
        if baseline.digest() == *digest {
            Ok(baseline)
        } else {
            Err(not_what_it_says(&key))
        }
    }

    /// Stores a baseline under its digest, unless it is there.
    ///
    /// # Errors
    /// What the store said.
    pub async fn store_baseline(&self, baseline: &Baseline) -> Result<ContentDigest, Failure> {
        let digest = baseline.digest();
        let packed = pack(&encode(baseline)?)?;
        self.store.create(&keys::baseline(&digest), packed).await?;
        Ok(digest)
    }

    /// What is owed. `site` is that of an empty list.
    ///
    /// # Errors
    /// `StateCorrupt` if the list is gone or not what its name says, or what the store said.
    pub async fn debts(
        &self,
        pointer: Option<&DebtsPointer>,
        site: SiteLabel,
    ) -> Result<Debts, Failure> {
        let Some(pointer) = pointer else {
            return Ok(Debts::none(site));
        };
        let json = self.unpacked(&pointer.key).await?.ok_or_else(|| {
            let what = format!("the list of debts {} is gone", pointer.key);
            Failure::new(FailureName::StateCorrupt, what)
        })?;
        if ContentDigest::of(&json) == pointer.digest {
            decode(&pointer.key, &json)
        } else {
            Err(not_what_it_says(&pointer.key))
        }
    }

    /// Stores a list of debts under its digest, before any state names it. `None` if nothing is owed.
    ///
    /// # Errors
    /// What the store said.
    pub async fn store_debts(&self, debts: &Debts) -> Result<Option<DebtsPointer>, Failure> {
        if debts.debts.is_empty() {
            return Ok(None);
        }
        let bytes = encode(debts)?;
        let digest = ContentDigest::of(&bytes);
        let key = keys::debts(&digest);
        self.store.create(&key, pack(&bytes)?).await?;
        Ok(Some(DebtsPointer {
            count: debts.objects().len(),
            key,
            digest,
            looked_in: None,
        }))
    }

    /// Keeps what a phase of a run leaves. An older attempt cannot touch what a newer one keeps.
    ///
    /// # Errors
    /// `Conflict`, or what the store said.
    pub async fn keep_debts(
        &self,
        run: &RunDocument,
        phase: Phase,
        debts: Vec<Debt>,
    ) -> Result<(), Failure> {
        let left = Debts {
            debts,
            ..Debts::none(run.target)
        };
        let key = keys::debts_of_phase(&run.run, run.attempt, phase);
        self.put_packed(&key, &left).await
    }

    /// Of each phase what its newest attempt left; of a phase that has kept
    /// nothing, as an earlier version did not, what was owed before.
    async fn debts_of_run(&self, run: &RunDocument) -> Result<Debts, Failure> {
        let kept = self.store.list(&keys::of_run(&run.run, "debts/")).await?;
        let mut all = Debts::none(run.target);
        let mut without_list = Vec::new();
        for phase in OWING_PHASES {
            let mut of_phase = kept.iter().filter(|key| keys::is_of_phase(key, phase));
            // The keys are sorted by attempt.
            let left = match of_phase.next_back() {
                Some(key) => self.read_packed::<Debts>(key).await?,
                None => None,
            };
            match left {
                Some(left) => all.debts.extend(left.debts),
                None => without_list.push(phase),
            }
        }
        if !without_list.is_empty() {
            let before = self.debts(run.evidence.debts.as_ref(), run.target).await?;
            let before = before.debts.into_iter();
            all.debts
                .extend(before.filter(|debt| without_list.contains(&debt.phase)));
        }
        Ok(all)
    }

    /// What is owed, for whoever must go on: a list that cannot be understood is none, and is told.
    ///
    /// # Errors
    /// What the store said.
    pub async fn readable_debts(
        &self,
        pointer: Option<&DebtsPointer>,
        site: SiteLabel,
    ) -> Result<Debts, Failure> {
        match self.debts(pointer, site).await {
            Err(failure) if failure.name == FailureName::StateCorrupt => {
                tracing::error!(%failure, "what is owed cannot be read, so it is not restored");
                Ok(Debts::none(site))
            }
            other => other,
        }
    }

    /// What is owed once this run has changed the active site and is over, stored. A list that cannot be understood keeps no run from being
    /// closed: what was owed before still is.
    ///
    /// # Errors
    /// What the store said.
    pub async fn owed_after(&self, run: &RunDocument) -> Result<Option<DebtsPointer>, Failure> {
        match self.debts_of_run(run).await {
            Ok(debts) => self.store_debts(&debts).await,
            Err(failure) if failure.name == FailureName::StateCorrupt => {
                tracing::error!(%failure, run = %run.run, "what the run leaves owed cannot be read");
                Ok(run.evidence.debts.clone())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Overwrites a packed document that only one call writes at a time. One that another call was faster to write stays as that wrote it.
    ///
    /// # Errors
    /// What the store said.
    pub async fn put_packed<T: Serialize + Sync>(
        &self,
        key: &str,
        document: &T,
    ) -> Result<(), Failure> {
        let packed = pack(&encode(document)?)?;
        match self.store.get(key).await? {
            // The same call again, after its answer was lost.
            Some(stored) => self.store.replace(key, packed, &stored.tag).await?,
            None => self.store.create(key, packed).await?,
        };
        Ok(())
    }

    /// A packed document; `None` if there is none.
    ///
    /// # Errors
    /// `StateCorrupt` if it cannot be understood, or what the store said.
    pub async fn read_packed<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Failure> {
        let json = self.unpacked(key).await?;
        json.map(|json| decode(key, &json)).transpose()
    }

    async fn unpacked(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        let Some(stored) = self.store.get(key).await? else {
            return Ok(None);
        };
        let mut json = Vec::new();
        GzDecoder::new(stored.bytes.as_slice())
            .take(LARGEST_DOCUMENT)
            .read_to_end(&mut json)
            .map_err(|e| {
                Failure::new(
                    FailureName::StateCorrupt,
                    format!("{key} cannot be unpacked: {e}"),
                )
            })?;
        Ok(Some(json))
    }
}

fn pack(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer
        .write_all(bytes)
        .and_then(|()| packer.finish())
        .map_err(|e| Failure::internal(format!("packing a document: {e}")))
}

fn not_what_it_says(key: &str) -> Failure {
    Failure::new(
        FailureName::StateCorrupt,
        format!("{key} does not hold what its name says"),
    )
}
