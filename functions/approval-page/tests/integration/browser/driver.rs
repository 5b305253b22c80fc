//! A headless Chromium by WebDriver, and the page served to it on loopback through the function's own handler.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use fantoccini::{Client, ClientBuilder};
use local_cloud::harness::url;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::support::Asking;

/// In CI these tests must run: a missing browser is a failure there.
const REQUIRED: &str = "BROWSER_TESTS";
/// Where screenshots are left. Default: `target/screenshots` of this repository.
const SCREENSHOTS: &str = "SCREENSHOTS";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// How the page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) name: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) mobile: bool,
    pub(crate) dark: bool,
}

pub(crate) const DESKTOP: Look = Look {
    name: "desktop-light",
    width: 1280,
    height: 2400,
    mobile: false,
    dark: false,
};

/// Phone and desktop, light and dark.
pub(crate) const LOOKS: [Look; 4] = [
    DESKTOP,
    Look {
        name: "desktop-dark",
        dark: true,
        ..DESKTOP
    },
    Look {
        name: "phone-light",
        width: 390,
        height: 3600,
        mobile: true,
        dark: false,
    },
    Look {
        name: "phone-dark",
        width: 390,
        height: 3600,
        mobile: true,
        dark: true,
    },
];

/// A browser with its driver; both end with it.
pub(crate) struct Browser {
    pub(crate) client: Client,
    driver: Child,
}

/// The text of axe-core, the accessibility checker.
pub(crate) fn axe() -> Option<String> {
    let file = root().join("target/axe/node_modules/axe-core/axe.min.js");
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(_) => {
            missing("axe-core is not installed (cargo xtask test installs it where npm is)");
            None
        }
    }
}

fn missing(what: &str) {
    assert!(
        std::env::var_os(REQUIRED).is_none(),
        "{what}, and {REQUIRED} asks for these tests"
    );
    eprintln!("skipped: {what}");
}

fn found(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|file| file.is_file())
}

impl Browser {
    /// Starts a browser; `None`, with a message, where there is none.
    pub(crate) async fn start(look: Look) -> Option<Self> {
        let (Some(chromium), Some(chromedriver)) = (
            found(&["chromium", "chromium-browser", "google-chrome"]),
            found(&["chromedriver"]),
        ) else {
            missing(
                "chromium and chromedriver are not installed (Debian: chromium, chromium-driver)",
            );
            return None;
        };
        let mut driver = Command::new(chromedriver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port: u16 = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, rest) = line.split_once("started successfully on port ")?;
                rest.trim_end_matches('.').parse().ok()
            })
            .unwrap();
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--no-proxy-server".to_owned(),
            format!("--window-size={},{}", look.width, look.height),
        ];
        if look.dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let mut options = json!({"binary": chromium, "args": arguments});
        if look.mobile {
            options["mobileEmulation"] = json!({"deviceMetrics":
                {"width": look.width, "height": look.height, "pixelRatio": 2.0, "mobile": true, "touch": true}});
        }
        let capabilities: Map<String, Value> = [("goog:chromeOptions".to_owned(), options)]
            .into_iter()
            .collect();
        let mut builder =
            ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        let client = builder
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Some(Self { client, driver })
    }

    /// Ends both.
    pub(crate) async fn stop(mut self) {
        self.client.clone().close().await.unwrap();
        self.driver.kill().unwrap();
        self.driver.wait().unwrap();
    }

    /// Leaves a picture of what is shown.
    pub(crate) async fn picture(&self, name: &str) {
        let folder = std::env::var_os(SCREENSHOTS)
            .map_or_else(|| root().join("target/screenshots"), PathBuf::from);
        std::fs::create_dir_all(&folder).unwrap();
        let bytes = self.client.screenshot().await.unwrap();
        std::fs::write(folder.join(format!("approval-{name}.png")), bytes).unwrap();
    }

    /// What the accessibility checker finds serious or worse.
    pub(crate) async fn serious(&self, axe: &str) -> Vec<String> {
        self.client.execute(axe, vec![]).await.unwrap();
        let run = "const done = arguments[arguments.length - 1]; \
                   axe.run(document).then(found => done(found.violations), error => done([{id: String(error), impact: 'critical', nodes: []}]));";
        let found = self.client.execute_async(run, vec![]).await.unwrap();
        let found = found.as_array().unwrap();
        found
            .iter()
            .filter(|v| matches!(v["impact"].as_str(), Some("serious" | "critical")))
            .map(|v| format!("{}: {}", v["id"], v["nodes"]))
            .collect()
    }
}

/// Serves the page through the handler of the function. The URL has no slash at its end.
pub(crate) async fn serve(asking: &Arc<Asking>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .fallback(
            |State(asking): State<Arc<Asking>>, request: Request| async move {
                answer(&asking, request).await
            },
        )
        .with_state(Arc::clone(asking));
    tokio::spawn(async move { drop(axum::serve(listener, router).await) });
    base
}

async fn answer(asking: &Asking, request: Request) -> Response {
    match url::event(request).await {
        Some(event) => {
            let answer = asking.event(event).await;
            url::respond(&serde_json::to_value(answer).unwrap())
        }
        None => axum::http::StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}
