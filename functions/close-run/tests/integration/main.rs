//! The report's page as people see it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod figures;

use std::path::PathBuf;

use browser::{Browser, DESKTOP, LOOKS, axe};
use fantoccini::Locator;
use recovery::report::Report;
use serde_json::Value;

const EXAMPLE: &str = include_str!("../../../../infra/report.example.json");

fn example() -> (Value, Report) {
    (
        serde_json::from_str(EXAMPLE).unwrap(),
        serde_json::from_str(EXAMPLE).unwrap(),
    )
}

/// The page as a file, as somebody has it who took it out of the bucket.
struct Page {
    folder: tempfile::TempDir,
}

impl Page {
    fn of(report: &Report) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let html = close_run::page::render(report).unwrap();
        std::fs::write(folder.path().join("report.html"), html).unwrap();
        Self { folder }
    }

    fn address(&self) -> String {
        let file: PathBuf = self.folder.path().join("report.html");
        format!("file://{}", file.display())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_readable_in_every_light_and_width_without_an_error_or_a_second_request() {
    let Some(axe) = axe() else { return };
    let page = Page::of(&example().1);
    for look in LOOKS {
        let Some(browser) = Browser::start(look).await else {
            return;
        };
        browser.requests().await;
        browser.client.goto(&page.address()).await.unwrap();
        browser.whole_page(&format!("report-{}", look.name)).await;
        assert_eq!(browser.requests().await, [page.address()], "{}", look.name);
        assert_eq!(
            browser.console().await,
            Vec::<String>::new(),
            "{}",
            look.name
        );
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
        browser.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_on_the_page_are_those_of_the_json() {
    let (json, report) = example();
    let page = Page::of(&report);
    let Some(browser) = Browser::start(DESKTOP).await else {
        return;
    };
    browser.client.goto(&page.address()).await.unwrap();
    let mut seen = Vec::new();
    for element in browser
        .client
        .find_all(Locator::Css("[data-at]"))
        .await
        .unwrap()
    {
        let at = element.attr("data-at").await.unwrap().unwrap();
        let shown = element.text().await.unwrap();
        let stored = json.pointer(&at).unwrap_or(&Value::Null);
        assert!(
            figures::says(&shown, stored),
            "{at} is {stored} in the JSON and {shown:?} on the page"
        );
        seen.push(at);
    }
    // Every figure that people ask for is there.
    for at in [
        "/rto_seconds",
        "/rto_objective_seconds",
        "/clock/detect",
        "/clock/decide",
        "/clock/fence",
        "/clock/activate",
        "/clock/validate",
        "/clock/switch",
        "/data/0/loss_seconds",
        "/data/3/loss_seconds",
        "/compared/5/p75",
        "/ledger/10/verified",
        "/got_through/runs",
        "/checks/3/seconds",
        "/lessons/1/number",
    ] {
        assert!(seen.iter().any(|s| s == at), "the page lacks {at}");
    }
    browser.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_can_be_printed() {
    let page = Page::of(&example().1);
    let Some(browser) = Browser::start(DESKTOP).await else {
        return;
    };
    browser.client.goto(&page.address()).await.unwrap();
    let pdf = browser.print("report").await;
    assert!(pdf.starts_with(b"%PDF"));
    browser.stop().await;
}
