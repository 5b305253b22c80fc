//! The world of a drill: the cloud with the deployed stack, both workspaces, and the S3 replication between them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws::buckets::Buckets;
use aws::store::{S3Store, Store};
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_ssm::types::ParameterType;
use local_cloud::{AccessPointRoute, CloudOptions, Deployment, LocalCloud};
use recovery::plan::Plan;
use recovery::site::{Region, SiteLabel};
use recovery::state::State;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::DrillError;
use crate::estate::Estate;
use crate::homeward::{self, Homeward};
use crate::lake::{self, Lake};
use crate::plan::{
    ACCESS_POINT, CONTROL_REGION, HOMEWARD_ROLE, NAME, PRIMARY_BUCKET, PRIMARY_REGION,
    PRIMARY_WORKSPACE, REPLICATION_ROLE, SECONDARY_BUCKET, SECONDARY_REGION, SECONDARY_WORKSPACE,
};
use crate::workspace::SimulatedWorkspace;

/// One minute of a schedule lasts this long.
const ONE_MINUTE: Duration = Duration::from_secs(2);
/// The simulators' platform clock runs this much faster than ours.
const TIME_SCALE: f64 = 60.0;
/// So many times longer than on a quiet machine everything may take where several drills and a build share two cores.
const BUSY: u64 = 3;

/// Everything that runs during a drill. Nothing of it outlives `stop`.
pub struct World {
    /// The local cloud.
    pub cloud: LocalCloud,
    /// The stack as it was deployed.
    pub deployment: Deployment,
    /// The primary's workspace.
    pub primary: SimulatedWorkspace,
    /// The secondary's workspace.
    pub secondary: SimulatedWorkspace,
    config: SdkConfig,
    bucket: String,
    /// The data, once both buckets are there.
    pub lake: Option<Lake>,
    /// The data on the way home.
    pub homeward: Option<Homeward>,
}

impl World {
    /// Starts the workspaces and the cloud, deploys the template, stores plan, URLs and credentials.
    ///
    /// # Errors
    /// Whatever cannot be started, with the reason.
    pub async fn start(
        root: &Path,
        binaries: &Path,
        out: &Path,
        estate: Estate,
        plan: &Plan,
    ) -> Result<Self, DrillError> {
        let mut world = Self::without_a_stack(root, binaries, out, estate).await?;
        let parameters: BTreeMap<String, String> = [
            ("PlanName", NAME),
            ("CaptureSchedule", "rate(3 minutes)"),
            ("LagSchedule", "rate(1 minute)"),
            ("ReadinessSchedule", "rate(5 minutes)"),
            ("DataBucketPattern", "drill-lake-*"),
            ("Architecture", "x86_64"),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
        let deployment = world
            .cloud
            .deploy(&root.join("infra/template.yaml"), NAME, &parameters)
            .await?;
        world.stands_on(deployment);
        world.seed(plan).await?;
        world.fill().await?;
        Ok(world)
    }

    /// Starts the workspaces and the cloud, with what is there before anybody deploys: data buckets and their access point.
    ///
    /// # Errors
    /// Whatever cannot be started, with the reason.
    pub async fn without_a_stack(
        root: &Path,
        binaries: &Path,
        out: &Path,
        estate: Estate,
    ) -> Result<Self, DrillError> {
        let primary = SimulatedWorkspace::start(
            estate.primary,
            PRIMARY_WORKSPACE,
            &out.join("primary.jsonl"),
            TIME_SCALE,
        )
        .await?;
        let secondary = SimulatedWorkspace::start(
            estate.secondary,
            SECONDARY_WORKSPACE,
            &out.join("secondary.jsonl"),
            TIME_SCALE,
        )
        .await?;
        let cloud = LocalCloud::start(CloudOptions {
            repo_root: root.to_owned(),
            binaries: binaries.to_owned(),
            out: out.to_owned(),
            region: CONTROL_REGION.to_owned(),
            bucket_regions: BTreeMap::from([
                (PRIMARY_BUCKET.to_owned(), PRIMARY_REGION.to_owned()),
                (SECONDARY_BUCKET.to_owned(), SECONDARY_REGION.to_owned()),
            ]),
        })
        .await?;
        let config = sdk_config(&cloud.endpoint(), CONTROL_REGION).await;
        let world = Self {
            cloud,
            deployment: Deployment::default(),
            primary,
            secondary,
            config,
            bucket: String::new(),
            lake: None,
            homeward: None,
        };
        for (bucket, region) in [
            (PRIMARY_BUCKET, PRIMARY_REGION),
            (SECONDARY_BUCKET, SECONDARY_REGION),
        ] {
            world.create_bucket(bucket, region).await?;
        }
        world
            .cloud
            .create_access_point(ACCESS_POINT, &routes_to(SiteLabel::Primary))
            .await?;
        Ok(world)
    }

    /// This is the stack from now on.
    pub fn stands_on(&mut self, deployment: Deployment) {
        self.bucket = deployment
            .outputs
            .get("StateBucketName")
            .cloned()
            .unwrap_or_default();
        self.deployment = deployment;
    }

    /// Begins to write data at the primary, and to replicate it.
    ///
    /// # Errors
    /// If STS does not give the replication role.
    pub async fn fill(&mut self) -> Result<(), DrillError> {
        let replicator = lake::replicator(&self.config, REPLICATION_ROLE, SECONDARY_REGION).await?;
        let buckets = Buckets::new(self.config.clone());
        self.lake = Some(Lake::start(buckets, replicator));
        Ok(())
    }

    async fn seed(&self, plan: &Plan) -> Result<(), DrillError> {
        let plan = serde_json::to_vec_pretty(plan).unwrap_or_default();
        self.store().create("plan.json", plan).await?;
        let first = serde_json::to_vec(&State::initial(plan_name())).unwrap_or_default();
        self.store().create(aws::keys::STATE, first).await?;
        let ssm = aws_sdk_ssm::Client::new(&self.config);
        self.seed_link_key(&ssm).await?;
        self.federate().await?;
        let credential =
            json!({"client_id": "sim-client", "client_secret": "sim-secret"}).to_string();
        for (site, workspace) in [
            (SiteLabel::Primary, &self.primary),
            (SiteLabel::Secondary, &self.secondary),
        ] {
            let mut wanted = vec![(
                aws::keys::workspace_url(&plan_name(), site),
                workspace.url(),
                ParameterType::String,
            )];
            for role in ["observer", "operator"] {
                wanted.push((
                    aws::keys::credential(&plan_name(), site, role),
                    credential.clone(),
                    ParameterType::SecureString,
                ));
            }
            for (name, value, kind) in wanted {
                ssm.put_parameter()
                    .name(&name)
                    .value(value)
                    .r#type(kind)
                    .overwrite(true)
                    .send()
                    .await
                    .map_err(|e| {
                        DrillError::Aws(format!(
                            "writing parameter {name}: {}",
                            aws_sdk_ssm::error::DisplayErrorContext(&e)
                        ))
                    })?;
            }
        }
        Ok(())
    }

    /// Both workspaces trust the roles of the stack, as docs/deploy.md has it: by the outputs of the stack.
    ///
    /// # Errors
    /// If a control route fails.
    pub(crate) async fn federate(&self) -> Result<(), DrillError> {
        let issuer = self.cloud.issuer().await?;
        let subjects: Vec<&str> = ["ObserverRoleArns", "OperatorRoleArns"]
            .iter()
            .filter_map(|output| self.deployment.outputs.get(*output))
            .flat_map(|roles| roles.split(' '))
            .collect();
        let policies = json!({
            "issuer": issuer.get("issuer"), "jwks": issuer.get("jwks"), "audiences": ["databricks"], "subjects": subjects,
        });
        for workspace in [&self.primary, &self.secondary] {
            workspace.control("federation", &policies).await?;
        }
        Ok(())
    }

    /// The key of the page's links, as `operate` `rotate-approval-key` makes it.
    async fn seed_link_key(&self, ssm: &aws_sdk_ssm::Client) -> Result<(), DrillError> {
        let now = jiff::Timestamp::now().as_nanosecond().unsigned_abs();
        let seed = now ^ (u128::from(std::process::id()) << 96);
        let keys = recovery::approval::LinkKeys::rotated(None, [seed, seed.rotate_left(61)]);
        ssm.put_parameter()
            .name(aws::keys::approval_key(&plan_name()))
            .value(keys.to_parameter())
            .r#type(ParameterType::SecureString)
            .send()
            .await
            .map(|_| ())
            .map_err(|e| {
                let words = aws_sdk_ssm::error::DisplayErrorContext(&e);
                DrillError::Aws(format!("writing the key of the links: {words}"))
            })
    }

    async fn create_bucket(&self, bucket: &str, region: &str) -> Result<(), DrillError> {
        let client = aws_sdk_s3::Client::new(&sdk_config(&self.cloud.endpoint(), region).await);
        let mut request = client.create_bucket().bucket(bucket);
        // us-east-1 is S3's default and must not be named.
        if region != "us-east-1" {
            let location = CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region))
                .build();
            request = request.create_bucket_configuration(location);
        }
        request.send().await.map(|_| ()).map_err(|e| {
            DrillError::Aws(format!(
                "creating bucket {bucket}: {}",
                aws_sdk_s3::error::DisplayErrorContext(&e)
            ))
        })
    }

    /// The state bucket.
    #[must_use]
    pub fn store(&self) -> S3Store {
        S3Store::new(aws_sdk_s3::Client::new(&self.config), self.bucket.clone())
    }

    /// A document of the state bucket, or nothing.
    ///
    /// # Errors
    /// If the bucket cannot be read or the document is not what it should be.
    pub async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, DrillError> {
        match self.store().get(key).await? {
            Some(stored) => serde_json::from_slice(&stored.bytes)
                .map(Some)
                .map_err(|e| DrillError::Aws(format!("{key}: {e}"))),
            None => Ok(None),
        }
    }

    /// A parameter of any region.
    ///
    /// # Errors
    /// If SSM fails.
    pub async fn parameter(&self, region: &str, name: &str) -> Result<Option<String>, DrillError> {
        use aws::parameters::{Parameters, SsmParameters};
        Ok(SsmParameters::new(self.config.clone())
            .get(&Region::new(region), name)
            .await?)
    }

    /// Starts the clock of the schedules.
    ///
    /// # Errors
    /// If a deployed expression cannot be played.
    pub async fn start_schedules(&self) -> Result<(), DrillError> {
        Ok(self.cloud.run_schedules(ONE_MINUTE).await?)
    }

    /// The primary's region ends: its workspace, its AWS endpoints, its replication. Replication may end before it does.
    ///
    /// # Errors
    /// If a control route fails.
    pub async fn disaster(
        &mut self,
        platform_keeps_running: bool,
        replication_ends_before: Duration,
    ) -> Result<(), DrillError> {
        if let Some(lake) = &mut self.lake {
            lake.cut_off().await;
        }
        // What is written meanwhile is what is lost.
        tokio::time::sleep(replication_ends_before).await;
        self.cloud.darken_region(PRIMARY_REGION);
        self.primary.darken(platform_keeps_running).await
    }

    /// The primary limps: its AWS region is there, and of its workspace these requests fail. Its replication has ended.
    ///
    /// # Errors
    /// If a control route fails.
    pub async fn limp(&mut self, faults: &[Value]) -> Result<(), DrillError> {
        if let Some(lake) = &mut self.lake {
            lake.cut_off().await;
        }
        for fault in faults {
            self.primary.control("faults", fault).await?;
        }
        Ok(())
    }

    /// The primary's region is back.
    ///
    /// # Errors
    /// If a control route fails.
    pub async fn recover(&self) -> Result<(), DrillError> {
        self.cloud.light_region(PRIMARY_REGION);
        self.primary.end_faults().await?;
        self.primary.light().await
    }

    /// The tables are repaired, the secondary writes them now, and its bucket is replicated to the primary's.
    ///
    /// # Errors
    /// What S3 said.
    pub async fn turn_replication_round(&mut self) -> Result<(), DrillError> {
        // What the fence held back a person leaves where it is.
        let refused = self.lake.as_ref().map(Lake::refused_files);
        for (bucket, region, but) in [
            (PRIMARY_BUCKET, PRIMARY_REGION, refused.unwrap_or_default()),
            (SECONDARY_BUCKET, SECONDARY_REGION, BTreeSet::new()),
        ] {
            let client = aws_sdk_s3::Client::new(&sdk_config(&self.cloud.endpoint(), region).await);
            homeward::repair_tables(&client, bucket, &but).await?;
        }
        let replicator = lake::replicator(&self.config, HOMEWARD_ROLE, PRIMARY_REGION).await?;
        let buckets = Buckets::new(self.config.clone());
        self.homeward = Some(Homeward::start(buckets, replicator));
        Ok(())
    }

    /// A person's act by command line.
    ///
    /// # Errors
    /// If the function cannot be invoked, or refuses.
    pub async fn operate(&self, payload: &Value) -> Result<Value, DrillError> {
        let answer = self.cloud.invoke("OperateFunction", payload).await?;
        match answer.function_error {
            None => Ok(answer.payload),
            Some(_) => Err(DrillError::Aws(format!(
                "operate refused: {}",
                answer.payload
            ))),
        }
    }

    /// A person's act through the function URL, signed by this IAM user.
    ///
    /// # Errors
    /// If the function cannot be invoked, or refuses.
    pub async fn operate_as(&self, user: &str, act: &Value) -> Result<Value, DrillError> {
        let event = json!({
            "requestContext": {
                "http": {"method": "POST"},
                "authorizer": {"iam": {"userArn": format!("arn:aws:iam::123456789012:user/{user}")}},
            },
            "body": act.to_string(), "isBase64Encoded": false,
        });
        let answer = self.cloud.invoke("OperateFunction", &event).await?.payload;
        if answer.get("statusCode").and_then(Value::as_u64) == Some(200) {
            Ok(answer)
        } else {
            Err(DrillError::Aws(format!("operate refused {user}: {answer}")))
        }
    }

    /// Waits until `look` finds something. `seconds` is ample on a quiet machine.
    ///
    /// # Errors
    /// After so long on a busy one, with what was waited for.
    pub async fn wait<R, F: Future<Output = Result<Option<R>, DrillError>>>(
        &self,
        what: &str,
        seconds: u64,
        mut look: impl FnMut() -> F,
    ) -> Result<R, DrillError> {
        let seconds = seconds * BUSY;
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if Instant::now() >= end {
                return Err(DrillError::TimedOut {
                    what: what.to_owned(),
                    seconds,
                });
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Copies every document of the state bucket into a folder, for those who want to look at them.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub async fn save_state(&self, folder: &Path) -> Result<(), DrillError> {
        let store = self.store();
        for key in store.list("").await? {
            let Some(stored) = store.get(&key).await? else {
                continue;
            };
            let path = folder.join(&key);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(DrillError::file(parent))?;
            }
            std::fs::write(&path, stored.bytes).map_err(DrillError::file(&path))?;
        }
        Ok(())
    }

    /// Ends everything; says where the recordings lie.
    pub async fn stop(mut self) -> Vec<PathBuf> {
        if let Some(lake) = &mut self.lake {
            lake.stop().await;
        }
        let recordings = vec![
            self.primary.recording.clone(),
            self.secondary.recording.clone(),
        ];
        self.cloud.stop().await;
        self.primary.stop().await;
        self.secondary.stop().await;
        recordings
    }
}

/// The routes of the drill's access point while this site is active.
#[must_use]
pub fn routes_to(active: SiteLabel) -> Vec<AccessPointRoute> {
    let route = |label, bucket: &str, region: &str| AccessPointRoute {
        bucket: bucket.to_owned(),
        region: region.to_owned(),
        dial: if label == active { 100 } else { 0 },
    };
    vec![
        route(SiteLabel::Primary, PRIMARY_BUCKET, PRIMARY_REGION),
        route(SiteLabel::Secondary, SECONDARY_BUCKET, SECONDARY_REGION),
    ]
}

fn plan_name() -> recovery::site::PlanName {
    recovery::site::PlanName::new(NAME)
}

/// The SDK against the local cloud, with credentials that are none.
async fn sdk_config(endpoint: &str, region: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(aws_config::Region::new(region.to_owned()))
        .credentials_provider(aws_sdk_s3::config::Credentials::new(
            "local", "local", None, None, "drill",
        ))
        .load()
        .await
}
