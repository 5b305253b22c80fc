//! The replication fence against S3 as the local cloud plays it: policies are enforced there, and the replicator is a session
//! of the replication role.

use std::collections::BTreeMap;

use aws::buckets::Buckets;
use aws::fences::Fences;
use aws_config::{BehaviorVersion, SdkConfig};
use drill::data_promises::delivery_violations;
use drill::lake::{Lake, replicator};
use drill::plan::{
    CONTROL_REGION, NAME, PRIMARY_BUCKET, PRIMARY_REGION, REPLICATION_ROLE, SECONDARY_BUCKET,
    SECONDARY_REGION,
};
use local_cloud::{CloudOptions, LocalCloud};
use recovery::aws_fence::{Denial, Lifted, Merged, lifted, merged};
use recovery::site::{PlanName, Region, RoleArn};

const FOREIGN: &str = r#"{"Version":"2012-10-17","Statement":{"Sid":"OnlyTls","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::drill-lake-us-east-2/*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}}"#;

async fn cloud(out: &std::path::Path) -> (LocalCloud, SdkConfig) {
    let cloud = LocalCloud::start(CloudOptions {
        repo_root: drill::build::repository(),
        binaries: out.to_owned(),
        out: out.to_owned(),
        region: CONTROL_REGION.to_owned(),
        bucket_regions: BTreeMap::from([
            (PRIMARY_BUCKET.to_owned(), PRIMARY_REGION.to_owned()),
            (SECONDARY_BUCKET.to_owned(), SECONDARY_REGION.to_owned()),
        ]),
    })
    .await
    .unwrap();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(cloud.endpoint())
        .region(aws_config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_s3::config::Credentials::new(
            "local", "local", None, None, "test",
        ))
        .load()
        .await;
    let s3 = aws_sdk_s3::Client::new(&config);
    for bucket in [PRIMARY_BUCKET, SECONDARY_BUCKET] {
        s3.create_bucket().bucket(bucket).send().await.unwrap();
    }
    (cloud, config)
}

#[tokio::test]
async fn what_was_held_back_corrupts_the_standby_without_the_fence_and_is_refused_with_it() {
    for fenced in [false, true] {
        let out = tempfile::tempdir().unwrap();
        let (cloud, config) = cloud(out.path()).await;
        let role = replicator(&config, REPLICATION_ROLE, SECONDARY_REGION)
            .await
            .unwrap();
        let mut lake = Lake::start(Buckets::new(config.clone()), role);
        lake.cut_off().await;

        let (region, bucket) = (Region::new(SECONDARY_REGION), SECONDARY_BUCKET);
        let policies = Fences::new(&config, None).policies;
        assert_eq!(policies.get(&region, bucket).await.unwrap(), None);
        policies.put(&region, bucket, FOREIGN).await.unwrap();
        let denial = Denial::new(
            &PlanName::new(NAME),
            bucket,
            &[RoleArn::new(REPLICATION_ROLE)],
        );
        if fenced {
            let before = policies.get(&region, bucket).await.unwrap();
            let Merged::Write { text, .. } = merged(before.as_deref(), &denial).unwrap() else {
                panic!("the fence stood before it was raised");
            };
            policies.put(&region, bucket, &text).await.unwrap();
            let now = policies.get(&region, bucket).await.unwrap();
            assert_eq!(merged(now.as_deref(), &denial), Ok(Merged::InForce));
        }

        lake.write_on_at_standby().await.unwrap();
        let before = lake.at_standby().await.unwrap();
        let delivery = lake.deliver().await.unwrap();
        let after = lake.at_standby().await.unwrap();
        let broken = delivery_violations(&delivery, &before, &after);
        assert_eq!(broken.is_empty(), fenced, "{broken:?}");
        if fenced {
            assert_eq!(delivery.refused.len(), 5);
            let now = policies.get(&region, bucket).await.unwrap();
            let Lifted::Write(text) = lifted(now.as_deref(), &PlanName::new(NAME)).unwrap() else {
                panic!("the foreign statement is gone");
            };
            assert_eq!(text, FOREIGN);
        }
        policies.delete(&region, bucket).await.unwrap();
        assert_eq!(policies.get(&region, bucket).await.unwrap(), None);
        cloud.stop().await;
    }
}
