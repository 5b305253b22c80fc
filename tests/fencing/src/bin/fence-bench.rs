//! `cargo fence-bench`: fences a workspace of 12,000 jobs under the documented rates while another client uses a part of them, and
//! prints how well the rate was used and how many runs got through, beside the least possible.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use fencing::bench::{Least, Requests, STRANGER, estate};
use fencing::gaps::{Event, gaps};
use fencing::{Pace, Site, Trouble};
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

/// Our part of a documented rate during a run.
const SHARE: f64 = 0.95;
/// `jobs/update`, requests a second.
const UPDATES: f64 = 10.0;
/// `jobs/list`, requests a second, and how many jobs come with each.
const LISTS: f64 = 20.0;
const PAGE: f64 = 100.0;

#[derive(Parser)]
#[command(about = "fences a large workspace under the documented rates")]
struct Arguments {
    /// Jobs with something live.
    #[arg(long, default_value_t = 12_000)]
    jobs: i64,
    /// Updates a second that somebody else sends to the same workspace.
    #[arg(long, default_value_t = 3.0)]
    others: f64,
    /// How many of the platform's seconds pass in one of ours.
    #[arg(long, default_value_t = 6.0)]
    scale: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match bench(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("fence-bench: {trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(arguments: &Arguments) -> Result<(), Trouble> {
    let pace = Pace {
        scale: arguments.scale,
        limits: true,
    };
    let folder = tempfile::tempdir()?;
    let recording = folder.path().join("requests.jsonl");
    let estate = estate(arguments.jobs);
    let site = Site::recorded(estate, pace, Some(recording.clone())).await?;
    let (begins, over) = (clock(&site).await?, Arc::new(AtomicBool::new(false)));
    site.raise().await?;
    let fencing = async {
        let began = Instant::now();
        let mut passes = 0;
        // A pass of the real function lasts 15 minutes at most; here it may last as long as it takes.
        while !site.is_verified().await? && passes < 20 {
            site.fence_once().await?;
            passes += 1;
        }
        over.store(true, Ordering::SeqCst);
        Ok::<_, Trouble>((began.elapsed(), passes))
    };
    // A task of its own: somebody else is not held up by what we work out.
    let rate = arguments.others * arguments.scale;
    let others = tokio::spawn(others(site.url(), rate, Arc::clone(&over)));
    let (taken, passes) = fencing.await?;
    others.await.map_err(std::io::Error::other)??;
    let taken = taken.as_secs_f64() * arguments.scale;
    let verified = site.is_verified().await?;
    let record = site.record().await?;
    site.stop().await;
    let requests = Requests::read(&recording)?;
    let left = UPDATES - requests.others_accepted as f64 / taken;
    let rate = left.min(UPDATES * SHARE);
    let needed = arguments.jobs as f64 / rate;
    let through = runs_since(&record, begins);
    let pages = (arguments.jobs as f64 / PAGE).ceil();
    let reading = pages / (LISTS * SHARE);
    let least = |unknown| Least::of(arguments.jobs, begins, rate, unknown).runs;
    println!("jobs with something live      {}", arguments.jobs);
    println!("verified                      {verified}, in {passes} pass(es)");
    println!(
        "others accepted               {:.2} updates a second",
        requests.others_accepted as f64 / taken
    );
    println!("rate left to us               {rate:.2} updates a second");
    println!("that needs                    {needed:.0} s of the platform's time");
    println!("taken, readings included      {taken:.0} s");
    let pausing = requests.pausing_ms as f64 / 1000.0 * arguments.scale;
    println!("of it from first to last pause {pausing:.0} s");
    println!("efficiency of the pauses      {:.3}", needed / pausing);
    println!("efficiency of the pass        {:.3}", needed / taken);
    println!("our requests                  {}", requests.ours);
    println!(
        "of them answered 429          {} ({:.3} %)",
        requests.ours_refused,
        100.0 * requests.ours_refused as f64 / requests.ours.max(1) as f64
    );
    println!("runs that got through         {through}");
    println!("least possible at this rate   {}", least(0.0));
    println!(
        "and if the list of jobs has to be read first, {reading:.1} s: {}",
        least(reading)
    );
    print_gaps(&requests, arguments.scale, rate);
    Ok(())
}

/// Where the time went that the rate did not need.
fn print_gaps(requests: &Requests, scale: f64, rate: f64) {
    let at = |ms: i64| ms as f64 / 1000.0 * scale;
    let events: Vec<(f64, Event)> = requests.events.iter().map(|(t, e)| (at(*t), *e)).collect();
    let pauses = || events.iter().filter(|(_, e)| *e == Event::Pause);
    if let Some(((began, _), (first, _))) = events.first().zip(pauses().next()) {
        println!("before the first pause        {:.1} s", first - began);
    }
    if let Some(((last, _), (end, _))) = pauses().next_back().zip(events.last()) {
        println!("after the last pause          {:.1} s", end - last);
    }
    println!("gaps between pauses, beyond the interval of the rate:");
    for (cause, lost) in gaps(&events, 1.0 / rate) {
        println!(
            "  {cause:<38} {:>6} times {:>7.1} s",
            lost.times, lost.seconds
        );
    }
}

async fn clock(site: &Site) -> Result<i64, Trouble> {
    let clock = site.clock().await?;
    Ok(clock.get("sim_ms").and_then(Value::as_i64).unwrap_or(0))
}

/// Somebody else, who does not know of us and does not slow down; so many requests a second of ours.
async fn others(url: String, rate: f64, over: Arc<AtomicBool>) -> Result<(), Trouble> {
    if rate <= 0.0 {
        return Ok(());
    }
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{url}/api/2.2/jobs/update");
    let body = json!({"job_id": STRANGER, "new_settings": {"timeout_seconds": 60}});
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    // A busy machine must not make a flood of them.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !over.load(Ordering::SeqCst) {
        ticks.tick().await;
        client
            .post(&url)
            .bearer_auth("sim-token")
            .json(&body)
            .send()
            .await?;
    }
    Ok(())
}

fn runs_since(record: &[Value], begins: i64) -> usize {
    let ours = |e: &&Value| {
        e.get("kind").and_then(Value::as_str) == Some("run_started")
            && e.get("sim_ms")
                .and_then(Value::as_i64)
                .is_some_and(|at| at >= begins)
    };
    record.iter().filter(ours).count()
}
