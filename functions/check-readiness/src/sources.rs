//! Asking the data sources of the plan, from the control region.

use std::time::Duration;

use aws::{Failure, Ports, buckets::Buckets, keys};
use futures::future::join_all;
use recovery::plan::{Address, DataSource, Plan, Scheme, SourceAddress};
use recovery::readiness::{ReadinessAnswer, SourceSeen, SourcesDocument};
use recovery::run::Stage;
use recovery::site::{Region, RunId, RunToken, SiteLabel};
use wire::{Host, Limits, Request};

use crate::Answer;

/// No more of an answer is taken than it needs to be one.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// One look in a run.
pub(crate) async fn in_run(
    ports: &Ports,
    buckets: &Buckets,
    plan: &Plan,
    run: &RunId,
    token: &RunToken,
) -> Result<Answer, Failure> {
    let entered = ports.enter(run, token, Stage::Sources).await?;
    let site = entered.target;
    let key = keys::of_run(run, "sources.json");
    let before: Option<SourcesDocument> = ports.read(&key).await?;
    let seen = ask(buckets, plan, site).await;
    let now = ports.now();
    let document = SourcesDocument::new(before.as_ref(), site, entered.attempt, seen, now);
    ports.require_lock(run, token).await?;
    ports.put(&key, &document).await?;
    let since = entered.entered_at(Stage::Sources, now);
    let answer = document.answer(&plan.data_sources, since);
    if answer == ReadinessAnswer::Ready {
        ports.finish(run, token, Stage::Sources).await?;
    }
    Ok(Answer {
        answer,
        reason: format!("for the {site} site: {}", document.in_words()),
    })
}

/// Every source of a site, once and at the same time.
pub(crate) async fn ask(buckets: &Buckets, plan: &Plan, site: SiteLabel) -> Vec<SourceSeen> {
    let limit = plan.data_sources.timeout_seconds.duration();
    let region = &plan.sites.get(site).region;
    let sources = plan.data_sources.sources.iter();
    join_all(sources.map(|source| one(buckets, source, site, region, limit))).await
}

async fn one(
    buckets: &Buckets,
    source: &DataSource,
    site: SiteLabel,
    region: &Region,
    limit: Duration,
) -> SourceSeen {
    let addresses = source.addresses(site);
    let answers = join_all(addresses.iter().map(|address| async move {
        let answer = match address.parse() {
            Ok(SourceAddress::Host(host)) => reach(address, &host, limit).await,
            Ok(SourceAddress::Objects { bucket, prefix }) => {
                look(buckets, region, &bucket, &prefix, limit).await
            }
            Err(problem) => Err(problem.to_owned()),
        };
        (address, answer)
    }))
    .await;
    let reached = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
    let words = answers.iter().map(|(address, answer)| match answer {
        Ok(()) => format!("{address} answers"),
        Err(why) => format!("{address}: {why}"),
    });
    SourceSeen {
        name: source.name.clone(),
        required: source.required,
        reachable: reached >= source.needed(site),
        detail: words.collect::<Vec<_>>().join(", "),
    }
}

async fn reach(text: &str, address: &Address, limit: Duration) -> Result<(), String> {
    if address.scheme == Scheme::Tcp {
        let host = Host {
            name: address.host.clone(),
            port: address.port,
            tls: false,
        };
        let (_, result) = wire::reach(&host, limit).await;
        return result.map_err(|failure| failure.to_string());
    }
    let limits = Limits {
        connect: limit,
        total: limit,
        body: LARGEST_ANSWER,
    };
    match wire::exchange(Request::get(text), limits).await.1 {
        Ok(answer) if answer.status >= 500 => Err(format!("answers {}", answer.status)),
        Ok(_) | Err(wire::Failure::AnswerTooLarge(_)) => Ok(()),
        Err(failure) => Err(failure.to_string()),
    }
}

async fn look(
    buckets: &Buckets,
    region: &Region,
    bucket: &str,
    prefix: &str,
    limit: Duration,
) -> Result<(), String> {
    let asked = buckets.holds_any(region, bucket, prefix);
    match tokio::time::timeout(limit, asked).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err("nothing lies there".to_owned()),
        Ok(Err(failure)) => Err(failure.message),
        Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
    }
}
