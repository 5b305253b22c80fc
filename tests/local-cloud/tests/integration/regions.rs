use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{deployed, eventually, started};

struct Aws {
    client: reqwest::Client,
    endpoint: String,
}

impl Aws {
    fn signature(region: &str, service: &str) -> String {
        let scope = format!("AKIDEXAMPLE/20260101/{region}/{service}/aws4_request");
        format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00")
    }

    async fn ssm(
        &self,
        region: &str,
        operation: &str,
        body: Value,
    ) -> reqwest::Result<reqwest::Response> {
        let request = self
            .client
            .post(&self.endpoint)
            .header("authorization", Self::signature(region, "ssm"));
        let request = request.header("x-amz-target", format!("AmazonSSM.{operation}"));
        request
            .header("content-type", "application/x-amz-json-1.1")
            .body(body.to_string())
            .send()
            .await
    }

    async fn s3(
        &self,
        method: reqwest::Method,
        path: &str,
        body: &'static str,
    ) -> reqwest::Result<reqwest::Response> {
        let request = self
            .client
            .request(method, format!("{}/{path}", self.endpoint));
        request
            .header("authorization", Self::signature("us-east-1", "s3"))
            .body(body)
            .send()
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dark_region_hangs_and_comes_back() {
    let test = deployed().await;
    let cloud = &test.cloud;
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(3))
        .build()
        .unwrap();
    let aws = Aws {
        client,
        endpoint: cloud.endpoint(),
    };

    // Every region works, apart from each other.
    for region in ["us-east-1", "eu-central-1"] {
        let parameter = json!({"Name": "/site", "Value": region, "Type": "String"});
        assert_eq!(
            aws.ssm(region, "PutParameter", parameter)
                .await
                .unwrap()
                .status(),
            200
        );
    }
    let read = async |region: &str| {
        aws.ssm(region, "GetParameter", json!({"Name": "/site"}))
            .await
    };
    let found: Value = read("eu-central-1").await.unwrap().json().await.unwrap();
    assert_eq!(found["Parameter"]["Value"], "eu-central-1");
    assert_eq!(
        aws.s3(reqwest::Method::PUT, "data-east", "")
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        aws.s3(reqwest::Method::PUT, "test-state-us-west-2/key", "1")
            .await
            .unwrap()
            .status(),
        200
    );

    // One goes dark: its parameters, and its bucket, whatever region the request was signed for.
    cloud.darken_region("us-east-1");
    assert!(read("us-east-1").await.unwrap_err().is_timeout());
    assert!(
        aws.s3(reqwest::Method::PUT, "data-east/late", "1")
            .await
            .unwrap_err()
            .is_timeout()
    );
    assert_eq!(read("eu-central-1").await.unwrap().status(), 200);
    assert_eq!(
        aws.s3(reqwest::Method::GET, "test-state-us-west-2/key", "")
            .await
            .unwrap()
            .status(),
        200
    );

    // It comes back, without what hung.
    cloud.light_region("us-east-1");
    let back = eventually("the region", async || read("us-east-1").await.ok()).await;
    assert_eq!(back.status(), 200);
    assert_eq!(
        aws.s3(reqwest::Method::GET, "data-east/late", "")
            .await
            .unwrap()
            .status(),
        404
    );
    let hung: Vec<_> = cloud
        .aws_requests()
        .into_iter()
        .filter(|each| each.hung)
        .collect();
    assert!(
        hung.iter()
            .all(|each| each.region.as_deref() == Some("us-east-1")),
        "{hung:?}"
    );
    assert_eq!(hung.len(), 2);
    test.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_conditional_writes_one_wins() {
    let out = tempfile::tempdir().unwrap();
    let cloud = started(out.path()).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let aws = Aws {
        client,
        endpoint: cloud.endpoint(),
    };
    assert_eq!(
        aws.s3(reqwest::Method::PUT, "locks", "")
            .await
            .unwrap()
            .status(),
        200
    );
    for round in 0..5 {
        let writes: Vec<_> = (0..16)
            .map(|_| {
                let request = aws.client.put(format!("{}/locks/{round}", aws.endpoint));
                let request = request.header("authorization", Aws::signature("us-east-1", "s3"));
                tokio::spawn(request.header("if-none-match", "*").body("mine").send())
            })
            .collect();
        let mut won = 0;
        for write in writes {
            match write.await.unwrap().unwrap().status().as_u16() {
                200 => won += 1,
                status => assert_eq!(status, 412),
            }
        }
        assert_eq!(won, 1);
    }
    cloud.stop().await;
}
