use serde_json::{Value, json};

use crate::support::{deployed, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn functions_answer_and_fail_as_in_lambda() {
    let test = deployed().await;
    let cloud = &test.cloud;

    // Answers, and the process is used again.
    let first = cloud.invoke("Echo", &json!({"n": 1})).await.unwrap();
    assert_eq!((first.status, &first.function_error), (200, &None));
    assert_eq!(first.payload["event"], json!({"n": 1}));
    let second = cloud.invoke("Echo", &json!({"n": 2})).await.unwrap();
    assert_eq!(
        (&second.payload["process"], &second.payload["count"]),
        (&first.payload["process"], &json!(2))
    );

    // The function's own error.
    let failed = cloud
        .invoke(
            "Echo",
            &json!({"do": "fail", "type": "Throttled", "message": "slow down"}),
        )
        .await
        .unwrap();
    assert_eq!(failed.function_error.as_deref(), Some("Unhandled"));
    assert_eq!(
        failed.payload,
        json!({"errorType": "Throttled", "errorMessage": "slow down"})
    );

    // Past its deadline.
    let late = cloud.invoke("Short", &json!({"do": "hang"})).await.unwrap();
    assert_eq!(late.payload["errorType"], "Sandbox.Timedout");
    assert!(
        late.payload["errorMessage"]
            .as_str()
            .unwrap()
            .ends_with("Task timed out after 1.00 seconds"),
        "{late:?}"
    );
    let again = cloud.invoke("Short", &json!({})).await.unwrap();
    assert_eq!(
        again.payload["count"], 1,
        "the killed process must not be used again"
    );

    // A crash, and no binary.
    let gone = cloud.invoke("Echo", &json!({"do": "exit"})).await.unwrap();
    assert_eq!(gone.payload["errorType"], "Runtime.ExitError");
    let missing = cloud.invoke("NoBinary", &json!({})).await.unwrap();
    assert_eq!(missing.payload["errorType"], "Runtime.InvalidEntrypoint");
    assert!(
        missing.payload["errorMessage"]
            .as_str()
            .unwrap()
            .contains("was-never-built")
    );

    let errors: Vec<_> = cloud
        .invocations()
        .into_iter()
        .filter(|each| !each.ok)
        .map(|each| each.error_type.unwrap())
        .collect();
    let expected = [
        "Throttled",
        "Sandbox.Timedout",
        "Runtime.ExitError",
        "Runtime.InvalidEntrypoint",
    ];
    assert_eq!(errors, expected);
    let log = std::fs::read_to_string(test.out.path().join("logs/test-echo.log")).unwrap();
    assert!(log.contains(r#""event":{"n":1}"#), "{log}");
    test.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asynchronous_invocation_and_a_kill() {
    let test = deployed().await;
    let cloud = &test.cloud;

    // Would hang for half a minute if it were not asynchronous; a second event needs a second process.
    cloud
        .invoke_event("Echo", &json!({"do": "hang"}))
        .await
        .unwrap();
    let answer = cloud.invoke("Echo", &json!({})).await.unwrap();
    assert_eq!(answer.payload["count"], 1);
    assert!(cloud.invocations().iter().all(|each| each.ok));

    let killed = eventually("two processes", async || {
        Some(cloud.kill_function("Echo")).filter(|killed| *killed > 0)
    })
    .await;
    assert_eq!(killed, 2);
    let record = eventually("the killed invocation", async || {
        cloud.invocations().into_iter().find(|each| !each.ok)
    })
    .await;
    assert_eq!(record.error_type.as_deref(), Some("Runtime.ExitError"));
    assert_eq!(record.event, json!({"do": "hang"}));
    test.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_the_deployed_one() {
    let test = deployed().await;
    let cloud = &test.cloud;
    let answer = cloud
        .invoke("Echo", &json!({"do": "environment"}))
        .await
        .unwrap()
        .payload;
    let environment = answer.as_object().unwrap();
    assert_eq!(environment["GREETING"], "good morning");
    assert_eq!(
        environment["TOPIC"],
        json!(test.deployment.topics["Notices"])
    );
    assert_eq!(environment["AWS_REGION"], "us-west-2");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_NAME"], "test-echo");
    assert_eq!(environment["AWS_ENDPOINT_URL"], json!(cloud.endpoint()));
    let own = ["GREETING", "TOPIC", "PATH", "TZ", "LANG", "_HANDLER"];
    let others: Vec<_> = environment
        .keys()
        .filter(|name| !name.starts_with("AWS_") && !own.contains(&name.as_str()))
        .collect();
    assert!(others.is_empty(), "inherited: {others:?}");
    test.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_url_serves_its_function() {
    let test = deployed().await;
    let url = test
        .deployment
        .function("Page")
        .unwrap()
        .url
        .clone()
        .unwrap();
    assert_eq!(test.deployment.outputs["PageAddress"], url);
    assert_eq!(
        test.deployment.function("Closer").unwrap().environment["PAGE_URL"],
        url
    );
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client
        .post(format!("{url}runs/7?token=a%20b"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("decision=approve")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let event: Value = response.json().await.unwrap();
    assert_eq!(
        (&event["rawPath"], &event["body"]),
        (&json!("/runs/7"), &json!("ZGVjaXNpb249YXBwcm92ZQ=="))
    );
    assert_eq!(
        event["isBase64Encoded"], true,
        "as Lambda hands over a form"
    );
    assert_eq!(event["queryStringParameters"], json!({"token": "a b"}));
    assert_eq!(event["requestContext"]["http"]["method"], "POST");
    test.cloud.stop().await;
}
