//! The local cloud as one object.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::clock::{Clock, FiredSchedule};
use crate::harness::{self, Harness, InvocationRecord, Places, locked};
use crate::process::{self, MotoProcess};
use crate::proxy::{self, AwsRequest, Proxy};
use crate::venv::{self, VenvError};
use crate::{
    AccessPointRoute, CloudError, CloudOptions, Decision, Deployment, Execution, Function,
    Invocation, PublishedEvent, PublishedMessage, StateMachine,
};

/// A running local cloud. Call [`LocalCloud::stop`] at the end; dropping it ends every process too, without waiting.
#[derive(Debug)]
pub struct LocalCloud {
    region: String,
    endpoint: String,
    harness: Arc<Harness>,
    proxy: Arc<Proxy>,
    clock: Arc<Clock>,
    moto: MotoProcess,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    deployment: Mutex<Option<Deployment>>,
}

impl LocalCloud {
    /// Makes the Python environment if needed and starts moto, the harness and the proxy.
    ///
    /// # Errors
    /// When Python or the packages are missing, a folder cannot be written, or moto does not start.
    pub async fn start(options: CloudOptions) -> Result<Self, CloudError> {
        let logs = options.out.join("logs");
        std::fs::create_dir_all(&logs).map_err(|source| CloudError::File {
            path: logs.clone(),
            source,
        })?;
        let python = python(options.repo_root.clone()).await?;
        let script = options.repo_root.join("tests/local-cloud/python/cloud.py");
        let (reaper, lines) = process::reaper();
        let places = Places {
            binaries: options.binaries,
            logs: logs.clone(),
        };
        let harness = Harness::new(places, options.region.clone(), reaper);
        let (harness_address, harness_task) = harness::serve(Arc::clone(&harness)).await?;
        let log = logs.join("local-cloud.log");
        let moto = MotoProcess::start(
            &python,
            &script,
            &harness_address,
            &options.region,
            log,
            lines,
        )
        .await?;
        let proxy = Arc::new(Proxy::new(moto.base.clone(), options.bucket_regions)?);
        let (endpoint, proxy_task) = proxy::serve(Arc::clone(&proxy)).await?;
        harness.connect(endpoint.clone(), moto.control.clone());
        let clock = Clock::new(moto.control.clone(), options.region.clone());
        Ok(Self {
            region: options.region,
            endpoint,
            harness,
            proxy,
            clock,
            moto,
            tasks: Mutex::new(vec![harness_task, proxy_task]),
            deployment: Mutex::new(None),
        })
    }

    /// Creates a stack from a SAM template and reads it back. One stack at a time.
    ///
    /// # Errors
    /// When the template cannot be transformed or moto cannot create the stack.
    pub async fn deploy(
        &self,
        template: &Path,
        stack: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Deployment, CloudError> {
        let template = std::path::absolute(template).map_err(|source| CloudError::File {
            path: template.to_owned(),
            source,
        })?;
        let arguments = json!({ "template": template, "stack": stack, "parameters": parameters });
        let deployment = self.call("deploy", arguments).await?;
        Ok(self.remember(deployment))
    }

    /// Reads back a stack that somebody else has created here, with the SAM command line for example, and works with it from now on.
    ///
    /// # Errors
    /// When there is no such stack, or moto does not answer.
    pub async fn adopt(&self, stack: &str) -> Result<Deployment, CloudError> {
        let deployment = self.call("adopt", json!({ "stack": stack })).await?;
        Ok(self.remember(deployment))
    }

    fn remember(&self, mut deployment: Deployment) -> Deployment {
        for function in &mut deployment.functions {
            function.url = self.harness.url(&function.name);
        }
        for bucket in &deployment.buckets {
            self.proxy.set_bucket_region(&bucket.name, &bucket.region);
        }
        *locked(&self.deployment) = Some(deployment.clone());
        deployment
    }

    /// The AWS endpoint for functions and tests: the proxy in front of moto.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Invokes a function of the stack through the Lambda API and waits for its answer.
    ///
    /// # Errors
    /// When there is no such function, or moto does not answer. A function that fails is an answer.
    pub async fn invoke(
        &self,
        function_logical_id: &str,
        payload: &Value,
    ) -> Result<Invocation, CloudError> {
        let function = self.function(function_logical_id)?.name;
        self.call(
            "invoke",
            json!({ "function": function, "payload": payload }),
        )
        .await
    }

    /// Invokes a function of the stack asynchronously.
    ///
    /// # Errors
    /// When there is no such function, or moto does not answer.
    pub async fn invoke_event(
        &self,
        function_logical_id: &str,
        payload: &Value,
    ) -> Result<(), CloudError> {
        let function = self.function(function_logical_id)?.name;
        self.call::<Value>(
            "invoke_event",
            json!({ "function": function, "payload": payload }),
        )
        .await
        .map(drop)
    }

    /// Starts an execution of the stack's first state machine; returns its ARN.
    ///
    /// # Errors
    /// When nothing is deployed, or the name was used before.
    pub async fn start_execution(
        &self,
        name: Option<&str>,
        input: &Value,
    ) -> Result<String, CloudError> {
        #[derive(Deserialize)]
        struct Started {
            arn: String,
        }
        let machine = self.state_machine()?.arn;
        let arguments = json!({ "state_machine": machine, "name": name, "input": input });
        Ok(self
            .call::<Started>("start_execution", arguments)
            .await?
            .arn)
    }

    /// Describes an execution.
    ///
    /// # Errors
    /// When there is no such execution.
    pub async fn describe_execution(&self, arn: &str) -> Result<Execution, CloudError> {
        self.call("describe_execution", json!({ "arn": arn })).await
    }

    /// The history of an execution, as the API gives it.
    ///
    /// # Errors
    /// When there is no such execution.
    pub async fn execution_history(&self, arn: &str) -> Result<Vec<Value>, CloudError> {
        self.call("execution_history", json!({ "arn": arn })).await
    }

    /// Stops an execution, as an operator does in the console. A function that runs goes on to its end.
    ///
    /// # Errors
    /// When there is no such execution.
    pub async fn stop_execution(&self, arn: &str, cause: &str) -> Result<(), CloudError> {
        self.call::<Value>("stop_execution", json!({ "arn": arn, "cause": cause }))
            .await
            .map(drop)
    }

    /// All executions of the stack's first state machine.
    ///
    /// # Errors
    /// When nothing is deployed.
    pub async fn list_executions(&self) -> Result<Vec<Execution>, CloudError> {
        let machine = self.state_machine()?.arn;
        self.call("list_executions", json!({ "state_machine": machine }))
            .await
    }

    /// Everything that was published to any topic, in order.
    ///
    /// # Errors
    /// When moto does not answer.
    pub async fn messages(&self) -> Result<Vec<PublishedMessage>, CloudError> {
        self.moto.control.call("messages", &json!({})).await
    }

    /// Makes an S3 Multi-Region Access Point with these routes.
    ///
    /// # Errors
    /// When moto does not answer.
    pub async fn create_access_point(
        &self,
        arn: &str,
        routes: &[AccessPointRoute],
    ) -> Result<(), CloudError> {
        let arguments = json!({ "arn": arn, "routes": routes });
        let _: Value = self.call("create_access_point", arguments).await?;
        Ok(())
    }

    /// The routes of an access point.
    ///
    /// # Errors
    /// When moto does not answer.
    pub async fn access_point_routes(
        &self,
        arn: &str,
    ) -> Result<Vec<AccessPointRoute>, CloudError> {
        self.call("access_point_routes", json!({ "arn": arn }))
            .await
    }

    /// The issuer of the roles' identity tokens and its public keys: `{"issuer": .., "jwks": ..}`.
    ///
    /// # Errors
    /// When moto does not answer.
    pub async fn issuer(&self) -> Result<Value, CloudError> {
        self.call("issuer", json!({})).await
    }

    /// Turns outbound web identity federation of the account on or off.
    ///
    /// # Errors
    /// When moto does not answer.
    pub async fn set_issuer(&self, enabled: bool) -> Result<(), CloudError> {
        self.call::<Value>("issuer", json!({ "enabled": enabled }))
            .await
            .map(drop)
    }

    /// What every role asked of AWS so far, and what allowed it.
    ///
    /// # Errors
    /// When moto does not answer.
    pub async fn decisions(&self) -> Result<Vec<Decision>, CloudError> {
        self.call("decisions", json!({})).await
    }

    /// What the roles of the stack published to EventBridge, in order.
    ///
    /// # Errors
    /// When moto does not answer.
    pub async fn published_events(&self) -> Result<Vec<PublishedEvent>, CloudError> {
        self.call("published_events", json!({})).await
    }

    /// From now on a statement of a role counts as removed; the role is named by its logical id, the statement by its `Sid`.
    ///
    /// # Errors
    /// When moto does not answer.
    pub async fn remove_statement(&self, role: &str, sid: &str) -> Result<(), CloudError> {
        self.call::<Value>("remove_statement", json!({ "role": role, "sid": sid }))
            .await
            .map(drop)
    }

    /// Every AWS request of a region hangs from now on. What is under way loses its answer.
    pub fn darken_region(&self, region: &str) {
        self.proxy.darken(region);
    }

    /// The region answers again. Requests that hung are refused with 503, never delivered late.
    pub fn light_region(&self, region: &str) {
        self.proxy.light(region);
    }

    /// Tells in which region a bucket is.
    pub fn set_bucket_region(&self, bucket: &str, region: &str) {
        self.proxy.set_bucket_region(bucket, region);
    }

    /// Every request that went through the proxy.
    #[must_use]
    pub fn aws_requests(&self) -> Vec<AwsRequest> {
        self.proxy.requests()
    }

    /// Starts to fire the deployed schedules; a minute of an expression lasts `one_minute`. Returns at once.
    ///
    /// # Errors
    /// When a deployed expression cannot be played.
    pub async fn run_schedules(&self, one_minute: Duration) -> Result<(), CloudError> {
        let task = self.clock.start(one_minute).await?;
        locked(&self.tasks).push(task);
        Ok(())
    }

    /// Stops the clock until [`LocalCloud::resume_schedules`].
    pub fn pause_schedules(&self) {
        self.clock.pause(true);
    }

    /// Lets the clock go on.
    pub fn resume_schedules(&self) {
        self.clock.pause(false);
    }

    /// Every firing of a schedule.
    #[must_use]
    pub fn fired_schedules(&self) -> Vec<FiredSchedule> {
        self.clock.fired()
    }

    /// Every finished invocation.
    #[must_use]
    pub fn invocations(&self) -> Vec<InvocationRecord> {
        self.harness.records()
    }

    /// Kills the processes of a function, named by logical id or by name; returns how many there were.
    pub fn kill_function(&self, function: &str) -> usize {
        let name = self
            .function(function)
            .map_or_else(|_| function.to_owned(), |function| function.name);
        self.harness.kill_function(&name)
    }

    /// Ids of the processes that run for this cloud: moto and the functions.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.moto
            .id
            .into_iter()
            .chain(self.harness.processes())
            .collect()
    }

    /// Ends everything and waits until no process is left.
    pub async fn stop(self) {
        self.abort_tasks();
        self.harness.stop().await;
        self.moto.stop().await;
    }

    fn abort_tasks(&self) {
        locked(&self.tasks).drain(..).for_each(|task| task.abort());
    }

    async fn call<T: DeserializeOwned>(
        &self,
        command: &str,
        mut arguments: Value,
    ) -> Result<T, CloudError> {
        if let Some(arguments) = arguments.as_object_mut() {
            arguments.insert("region".to_owned(), Value::from(self.region.as_str()));
        }
        self.moto.control.call(command, &arguments).await
    }

    fn function(&self, logical_id: &str) -> Result<Function, CloudError> {
        let deployment = locked(&self.deployment);
        let deployment = deployment.as_ref().ok_or(CloudError::NotDeployed)?;
        deployment
            .function(logical_id)
            .cloned()
            .ok_or_else(|| CloudError::Unknown {
                kind: "function",
                name: logical_id.to_owned(),
                known: deployment
                    .functions
                    .iter()
                    .map(|each| each.logical_id.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    fn state_machine(&self) -> Result<StateMachine, CloudError> {
        let deployment = locked(&self.deployment);
        let deployment = deployment.as_ref().ok_or(CloudError::NotDeployed)?;
        deployment
            .state_machines
            .first()
            .cloned()
            .ok_or_else(|| CloudError::Unknown {
                kind: "state machine",
                name: "(the first)".to_owned(),
                known: "none".to_owned(),
            })
    }
}

impl Drop for LocalCloud {
    fn drop(&mut self) {
        self.abort_tasks();
        self.harness.abandon();
    }
}

async fn python(repo_root: PathBuf) -> Result<PathBuf, CloudError> {
    let made = tokio::task::spawn_blocking(move || {
        venv::ensure(&repo_root, &|progress| tracing::info!("{progress}")).map(|venv| venv.python())
    });
    let failed = |error: tokio::task::JoinError| VenvError::NoPython(error.to_string());
    Ok(made.await.map_err(failed)??)
}
