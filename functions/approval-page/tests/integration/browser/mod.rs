//! The page in a real browser: phone and desktop, light and dark, with a keyboard, by people who are tired.

mod serve;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use browser::{Browser, DESKTOP, LOOKS, axe};
use fantoccini::Locator;
use fantoccini::key::Key;
use recovery::approval::{Choice, Decisions};
use recovery::evidence::{EVIDENCE_FORMAT, FrozenEvidence, SiteEvidence};
use recovery::site::SiteLabel;
use recovery::verdict::{DownCause, Observation, Outcome, Probe, Signal, Vantage, judge};

use self::serve::serve;
use crate::support::{Asking, Like, PLAN, asking};

/// A request with half an hour of signals: first healthy, then dark at the primary.
async fn asked(like: Like) -> Arc<Asking> {
    let asking = asking(like).await;
    let now = asking.ports.now();
    let mut sites = std::collections::BTreeMap::new();
    for site in SiteLabel::ALL {
        let observations: Vec<Observation> = (0..30)
            .map(|minute| {
                let down = site == SiteLabel::Primary && minute > 20;
                let outcome = if down {
                    Outcome::Down(Some(DownCause::ConnectTimeout))
                } else {
                    Outcome::Healthy
                };
                Observation {
                    at: now - jiff::SignedDuration::from_mins(29 - minute),
                    vantage: Vantage::new("us-west-2"),
                    site,
                    signals: vec![
                        Signal::new(Probe::SignIn, outcome.clone()),
                        Signal::new(Probe::ControlPlaneApi, outcome),
                        Signal::new(Probe::ObjectStore, Outcome::Healthy),
                    ],
                }
            })
            .collect();
        let judged = judge(&observations, &asking.plan.detection.policy, now).ok();
        sites.insert(site, SiteEvidence::new(judged, observations));
    }
    let evidence = FrozenEvidence {
        format_version: EVIDENCE_FORMAT,
        run: asking.run.run.clone(),
        attempt: 1,
        frozen_at: now,
        sites,
    };
    let key = aws::keys::of_run(&asking.run.run, "evidence.json");
    asking.ports.put(&key, &evidence).await.unwrap();
    Arc::new(asking)
}

async fn open(like: Like) -> Option<(Arc<Asking>, Browser, String)> {
    let browser = Browser::start(DESKTOP).await?;
    let asking = asked(like).await;
    let link = format!("{}{}", serve(&asking).await, asking.path().await);
    browser.client.goto(&link).await.unwrap();
    Some((asking, browser, link))
}

async fn fill(browser: &Browser, plan: &str, decision: &str) {
    for (id, text) in [
        ("who", "Ada"),
        ("why", "the region is dark"),
        ("plan", plan),
    ] {
        let field = browser.client.find(Locator::Id(id)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }
    click(browser, &format!("#{decision}")).await;
}

async fn click(browser: &Browser, css: &str) {
    let element = browser.client.find(Locator::Css(css)).await.unwrap();
    element.click().await.unwrap();
}

/// Sends the form and waits for the page that answers it.
async fn submit(browser: &Browser) {
    leave(browser).await;
    click(browser, "button").await;
    arrive(browser).await;
}

/// Marks the page that is shown, so that the next one can be told from it.
async fn leave(browser: &Browser) {
    let mark = "window.isLeft = true;";
    browser.client.execute(mark, vec![]).await.unwrap();
}

/// Waits until another page is there whole.
async fn arrive(browser: &Browser) {
    let there = "return !window.isLeft && document.readyState === 'complete';";
    let deadline = Instant::now() + Duration::from_secs(20);
    // Between two pages there may be no document to ask.
    while browser.client.execute(there, vec![]).await.ok() != Some(true.into()) {
        assert!(Instant::now() < deadline, "no answer to the form");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn text(browser: &Browser) -> String {
    let body = browser.client.find(Locator::Css("body")).await.unwrap();
    body.text().await.unwrap()
}

fn count(decisions: &Option<Decisions>) -> usize {
    decisions.as_ref().map_or(0, |d| d.decisions.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_readable_in_every_light_and_width_and_a_checker_finds_nothing_serious() {
    let Some(axe) = axe() else { return };
    for look in LOOKS {
        let Some(browser) = Browser::start(look).await else {
            return;
        };
        let asking = asked(Like {
            loss: 1_200,
            ..Like::default()
        })
        .await;
        let base = serve(&asking).await;
        let link = format!("{base}{}", asking.path().await);
        browser.client.goto(&link).await.unwrap();
        browser.picture(&format!("approval-{}", look.name)).await;
        assert_eq!(
            browser.serious(&axe).await,
            Vec::<String>::new(),
            "{}",
            look.name
        );
        let wide = "return document.documentElement.scrollWidth > window.innerWidth + 1;";
        let scrolls = browser.client.execute(wide, vec![]).await.unwrap();
        assert_eq!(scrolls, false, "{} scrolls sideways", look.name);
        let back = "return getComputedStyle(document.body).backgroundColor;";
        let back = browser.client.execute(back, vec![]).await.unwrap();
        assert_eq!(
            back == "rgb(255, 255, 255)",
            !look.dark,
            "{}: {back}",
            look.name
        );
        // What is wrong is said, and what was typed is kept.
        fill(&browser, "lakehous", "approve").await;
        submit(&browser).await;
        browser
            .picture(&format!("approval-{}-wrong", look.name))
            .await;
        assert!(text(&browser).await.contains("Nothing was decided"));
        assert_eq!(
            browser.serious(&axe).await,
            Vec::<String>::new(),
            "{} with problems",
            look.name
        );
        assert_eq!(count(&asking.decisions().await), 0);
        browser
            .client
            .goto(&format!("{base}/nonsense"))
            .await
            .unwrap();
        browser
            .picture(&format!("approval-{}-not-valid", look.name))
            .await;
        assert_eq!(
            browser.serious(&axe).await,
            Vec::<String>::new(),
            "{} not valid",
            look.name
        );
        browser.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_counts_once_whatever_the_back_button_does() {
    let Some((asking, browser, link)) = open(Like::default()).await else {
        return;
    };
    fill(&browser, PLAN, "approve").await;
    submit(&browser).await;
    browser.picture("approval-recorded").await;
    assert!(
        text(&browser).await.contains("Approved"),
        "{}",
        text(&browser).await
    );
    let decided = asking.decisions().await;
    assert_eq!(count(&decided), 1);
    assert_eq!(decided.unwrap().decisions[0].decision, Choice::Approve);
    browser.client.back().await.unwrap();
    // Nothing is kept by the browser: the page is asked for again, and says that it is over.
    browser.client.goto(&link).await.unwrap();
    browser.picture("approval-decided").await;
    let shown = text(&browser).await;
    assert!(
        !shown.contains("Send my decision") && !shown.contains("Ada"),
        "{shown}"
    );
    browser.client.refresh().await.unwrap();
    assert_eq!(count(&asking.decisions().await), 1);
    browser.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decline_counts() {
    let Some((asking, browser, _)) = open(Like::default()).await else {
        return;
    };
    fill(&browser, PLAN, "decline").await;
    submit(&browser).await;
    assert!(
        text(&browser).await.contains("Declined"),
        "{}",
        text(&browser).await
    );
    let decided = asking.decisions().await.unwrap();
    assert_eq!(decided.decisions[0].decision, Choice::Decline);
    browser.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_link_says_so_and_nothing_else() {
    let Some((asking, browser, link)) = open(Like::default()).await else {
        return;
    };
    fill(&browser, PLAN, "approve").await;
    asking.pass(100_000);
    submit(&browser).await;
    browser.picture("approval-expired").await;
    let shown = text(&browser).await;
    assert!(shown.to_lowercase().contains("expired"), "{shown}");
    assert!(
        !shown.contains(PLAN) && !shown.contains("incident"),
        "{shown}"
    );
    assert_eq!(count(&asking.decisions().await), 0);
    browser.client.goto(&link).await.unwrap();
    assert!(text(&browser).await.to_lowercase().contains("expired"));
    browser.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_done_with_the_keyboard_alone() {
    let Some((asking, browser, _)) = open(Like {
        loss: 1_200,
        ..Like::default()
    })
    .await
    else {
        return;
    };
    let tab = String::from(char::from(Key::Tab));
    let active = "const e = document.activeElement; return e.id || e.tagName + ' ' + e.type;";
    let mut reached = BTreeSet::new();
    for _ in 0..40 {
        let element = browser.client.active_element().await.unwrap();
        element.send_keys(&tab).await.unwrap();
        let now = browser.client.execute(active, vec![]).await.unwrap();
        let now = now.as_str().unwrap_or_default().to_owned();
        let element = browser.client.active_element().await.unwrap();
        if reached.insert(now.clone()) {
            match now.as_str() {
                "who" => element.send_keys("Ada").await.unwrap(),
                "why" => element.send_keys("the region is dark").await.unwrap(),
                "plan" => element.send_keys(PLAN).await.unwrap(),
                "accept-0" | "approve" => element.send_keys(" ").await.unwrap(),
                "BUTTON submit" => {
                    let enter = String::from(char::from(Key::Enter));
                    leave(&browser).await;
                    element.send_keys(&enter).await.unwrap();
                    arrive(&browser).await;
                    break;
                }
                _ => {}
            }
        }
    }
    assert!(
        text(&browser).await.contains("Approved"),
        "reached {reached:?}"
    );
    let decided = asking.decisions().await.unwrap();
    assert_eq!(
        decided.decisions[0].accepted.len(),
        1,
        "the loss was accepted by its box"
    );
    browser.stop().await;
}
