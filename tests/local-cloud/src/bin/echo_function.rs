//! A function for the tests of the local cloud. It does what the event says, over the plain Lambda Runtime API.

use std::collections::BTreeMap;
use std::error::Error;

use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let base = format!(
        "http://{}/2018-06-01/runtime",
        std::env::var("AWS_LAMBDA_RUNTIME_API")?
    );
    let client = reqwest::Client::builder().no_proxy().build()?;
    for count in 1_u64.. {
        let next = client.get(format!("{base}/invocation/next")).send().await?;
        let header = |name: &str| {
            let value = next
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let id = header("lambda-runtime-aws-request-id");
        let deadline = header("lambda-runtime-deadline-ms");
        let event: Value = next.json().await?;
        println!("{}", json!({ "request": id, "event": event }));
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let (kind, answer) = match text("do") {
            "environment" => (
                "response",
                json!(std::env::vars().collect::<BTreeMap<_, _>>()),
            ),
            "fail" => (
                "error",
                json!({ "errorType": text("type"), "errorMessage": text("message") }),
            ),
            "exit" => std::process::exit(7),
            "hang" => std::future::pending().await,
            "page" => (
                "response",
                json!({ "statusCode": 201, "headers": { "x-page": "yes" }, "body": "hello" }),
            ),
            _ if event.get("rawPath").is_some() => (
                "response",
                json!({ "statusCode": 200, "body": event.to_string() }),
            ),
            _ => (
                "response",
                json!({ "event": event, "count": count, "deadline": deadline, "process": std::process::id() }),
            ),
        };
        client
            .post(format!("{base}/invocation/{id}/{kind}"))
            .json(&answer)
            .send()
            .await?
            .error_for_status()?;
    }
    Ok(())
}
