//! The page as others reach it: a mail scanner that follows every link, and a person who reads and decides.

use std::collections::BTreeSet;

use reqwest::{Client, Method};

use crate::DrillError;

/// How often a scanner follows a redirect.
const REDIRECTS: usize = 10;

/// Every link in a text, without what a sentence puts behind it.
#[must_use]
pub fn links(text: &str) -> BTreeSet<String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '\\' | '('))
        .filter(|word| word.starts_with("http://") || word.starts_with("https://"))
        .map(|word| word.trim_end_matches(['.', ',', ';', ')', '\'']).to_owned())
        .collect()
}

/// A client that goes to loopback addresses only: whatever a message links to, a drill must not leave the machine.
fn client() -> Result<Client, DrillError> {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::custom(|attempt| {
            if attempt.previous().len() < REDIRECTS && on_loopback(attempt.url().as_str()) {
                attempt.follow()
            } else {
                attempt.stop()
            }
        }))
        .timeout(std::time::Duration::from_secs(20))
        .build()
        .map_err(|e| DrillError::Aws(format!("no client for the page: {e}")))
}

fn on_loopback(link: &str) -> bool {
    link.starts_with("http://127.0.0.1:")
}

/// Does what scanners do to every link: HEAD, GET with redirects, OPTIONS, and empty forms. Says how many requests were sent.
///
/// # Errors
/// If the page cannot be reached.
pub async fn scan(text: &str) -> Result<usize, DrillError> {
    let client = client()?;
    let mut sent = 0;
    for link in links(text).iter().filter(|link| on_loopback(link)) {
        for method in [
            Method::HEAD,
            Method::GET,
            Method::OPTIONS,
            Method::POST,
            Method::GET,
        ] {
            let mut request = client.request(method.clone(), link);
            if method == Method::POST {
                request = request
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body("");
            }
            request
                .send()
                .await
                .map_err(|e| DrillError::Aws(format!("{method} of the page: {e}")))?;
            sent += 1;
        }
    }
    Ok(sent)
}

/// Reads the page behind the message's link and sends its form as a browser would.
///
/// # Errors
/// If there is no link, the page cannot be reached, or it does not take the decision.
pub async fn approve(text: &str, plan: &str, who: &str, why: &str) -> Result<(), DrillError> {
    let failed = |what: String| DrillError::Aws(format!("the approval page: {what}"));
    let all = links(text);
    let link = all
        .iter()
        .find(|link| on_loopback(link))
        .ok_or_else(|| failed("the message has no link".to_owned()))?;
    let client = client()?;
    let shown = client.get(link).send().await;
    let shown = shown.map_err(|e| failed(e.to_string()))?;
    let page = shown.text().await.map_err(|e| failed(e.to_string()))?;
    if link
        .rsplit('/')
        .next()
        .is_some_and(|signature| page.contains(signature))
    {
        return Err(failed("it shows the signature of its link".to_owned()));
    }
    let nonce = page
        .split_once("name=\"nonce\" value=\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(nonce, _)| nonce.to_owned())
        .ok_or_else(|| failed("it has no form".to_owned()))?;
    let mut form = vec![
        ("nonce".to_owned(), nonce),
        ("decision".to_owned(), "approve".to_owned()),
        ("who".to_owned(), who.to_owned()),
        ("why".to_owned(), why.to_owned()),
        ("plan".to_owned(), plan.to_owned()),
    ];
    // A person ticks every box that stands there.
    let boxes = page.matches("name=\"accept\"").count();
    form.extend((0..boxes).map(|index| ("accept".to_owned(), index.to_string())));
    let answer = client.post(link).form(&form).send().await;
    let answer = answer.map_err(|e| failed(e.to_string()))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(failed(format!("it answered {status}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_as_a_mail_shows_them() {
        let text = "LOOK:\nhttp://127.0.0.1:1/a/b?c=d\nor (https://example.org/x), \"http://127.0.0.1:2/\".";
        let found = links(text);
        assert_eq!(
            found.iter().map(String::as_str).collect::<Vec<_>>(),
            [
                "http://127.0.0.1:1/a/b?c=d",
                "http://127.0.0.1:2/",
                "https://example.org/x"
            ]
        );
        assert!(!on_loopback("http://127.0.0.1.example.org/"));
    }
}
