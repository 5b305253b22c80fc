use std::collections::BTreeMap;

use local_cloud::Unsupported;
use serde_json::json;

use crate::support::{deployed, repo_root, started};

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_read_back() {
    let test = deployed().await;
    let deployment = &test.deployment;
    let echo = deployment.function("Echo").unwrap();
    assert_eq!(
        (echo.name.as_str(), echo.package.as_str()),
        ("test-echo", "echo-function")
    );
    assert_eq!((echo.timeout_seconds, echo.memory_mb), (30, 128));
    assert_eq!(echo.environment["GREETING"], "good morning");
    assert_eq!(
        echo.dead_letter.as_ref(),
        deployment.queues.first().map(|queue| &queue.arn)
    );
    let minute = deployment
        .schedules
        .iter()
        .find(|each| each.name == "test-minute")
        .unwrap();
    assert_eq!(
        (
            minute.expression.as_str(),
            minute.enabled,
            &minute.target_arn
        ),
        ("rate(1 minute)", true, &echo.arn)
    );
    assert!(
        deployment
            .schedules
            .iter()
            .any(|each| each.name == "test-never" && !each.enabled)
    );
    let machine = &deployment.state_machines[0];
    assert_eq!(
        machine.definition["States"]["Direct"]["Resource"],
        json!(echo.arn)
    );
    assert!(
        machine.definition["Comment"]
            .as_str()
            .unwrap()
            .contains("${NotSubstituted}")
    );
    assert_eq!(
        deployment.rules[0].pattern.as_ref().unwrap()["detail"]["stateMachineArn"],
        json!([machine.arn])
    );
    let bucket = &deployment.buckets[0];
    assert_eq!(
        (
            bucket.name.as_str(),
            bucket.region.as_str(),
            bucket.versioned
        ),
        ("test-state-us-west-2", "us-west-2", true)
    );
    assert_eq!(deployment.ssm_parameters[0].name, "/test/setting");
    let missing = Unsupported {
        logical_id: "Unknown".to_owned(),
        kind: "AWS::Synthetics::Canary".to_owned(),
        reason: "no support for this type".to_owned(),
    };
    assert_eq!(deployment.unsupported, [missing]);
    test.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_products_template_deploys_completely() {
    let out = tempfile::tempdir().unwrap();
    let cloud = started(out.path()).await;
    let parameters = BTreeMap::from([("PlanName".to_owned(), "demo".to_owned())]);
    let template = repo_root().join("infra/template.yaml");
    let deployment = cloud.deploy(&template, "dr", &parameters).await.unwrap();
    assert_eq!(deployment.unsupported, []);
    assert!(!deployment.functions.is_empty() && !deployment.schedules.is_empty());
    let definition = deployment.state_machines[0].definition.to_string();
    assert!(
        !definition.contains("${"),
        "a placeholder was not substituted"
    );
    for function in &deployment.functions {
        assert!(function.role.starts_with("arn:aws:iam::"), "{function:?}");
    }
    cloud.stop().await;
}
