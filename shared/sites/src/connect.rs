//! From a label to a client: the URL and the credential live in SSM of the control region, and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use aws::{Failure, Ports, keys};
use databricks::{
    Connections, Credential, IdentitySource, RateShare, Retries, Secret, Settings, Timeouts,
    Workspace, WorkspaceUrl,
};
use jiff::civil::Date;
use recovery::failure::FailureName;
use recovery::plan::Plan;
use recovery::run::RunDocument;
use recovery::site::SiteLabel;
use serde::Deserialize;

/// Which of a site's two service principals signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Can only read.
    Observer,
    /// Can change what a run changes.
    Operator,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Observer => "observer",
            Self::Operator => "operator",
        }
    }
}

/// No single call of an activation lasts longer: a call that is on its way when the run loses its lock may still take effect.
pub const ACTIVATION_CALL: Duration = Duration::from_secs(5);

/// What the client is for: decides patience, repeats, and how much of the rate limits it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// One attempt over a fresh connection, never longer than this.
    Probe(Duration),
    /// Fencing a site that may be gone: no single call longer than this.
    Fence(Duration),
    /// Work of a run at a site that must be reachable.
    Run,
    /// Activating a site: as [`Purpose::Run`], but no single call longer than [`ACTIVATION_CALL`].
    Activation,
    /// Captures and checks, which share the workspace with its users.
    Background,
}

impl Purpose {
    fn settings(self) -> (Timeouts, RateShare, Retries, Connections) {
        match self {
            Self::Probe(limit) => (
                within(limit, limit),
                RateShare::BACKGROUND,
                Retries::Off,
                Connections::Fresh,
            ),
            // Room for the queue of the rate limit, not for an unreachable host: each attempt ends after `call`.
            Self::Fence(call) => (
                within(call, call * 12),
                RateShare::RUN,
                Retries::On,
                Connections::Pooled,
            ),
            Self::Run => (
                Timeouts::default(),
                RateShare::RUN,
                Retries::On,
                Connections::Pooled,
            ),
            Self::Activation => (
                Timeouts {
                    connect: ACTIVATION_CALL,
                    call: ACTIVATION_CALL,
                    ..Timeouts::default()
                },
                RateShare::RUN,
                Retries::On,
                Connections::Pooled,
            ),
            Self::Background => (
                Timeouts::default(),
                RateShare::BACKGROUND,
                Retries::On,
                Connections::Pooled,
            ),
        }
    }
}

fn within(call: Duration, total: Duration) -> Timeouts {
    Timeouts {
        connect: call,
        call,
        total,
    }
}

/// The same patience in the platform's time. What the plan sets in our time stays.
fn faster(timeouts: Timeouts, scale: f64) -> Timeouts {
    Timeouts {
        connect: timeouts.connect.div_f64(scale),
        call: timeouts.call.div_f64(scale),
        total: timeouts.total.div_f64(scale),
    }
}

/// The credential parameter: `{"client_id"}` of a service principal that has a federation policy for this function's role; with
/// `client_secret` beside it that takes over when federation fails, and with `"federation": false` it is the only way.
/// `{"token"}` alone is for a workspace of the local drill. `secret_expires_on` is for people: a workspace does not tell when a secret ends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialDocument {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    token: Option<Secret>,
    federation: Option<bool>,
    secret_expires_on: Option<Date>,
}

/// The URL of a site's workspace, from the control region.
///
/// # Errors
/// `InvalidPlan` if the parameter is missing or no URL.
pub async fn workspace_url(ports: &Ports, site: SiteLabel) -> Result<WorkspaceUrl, Failure> {
    let name = keys::workspace_url(&ports.plan_name, site);
    let text = ports
        .parameters
        .get(&ports.region, &name)
        .await?
        .ok_or_else(|| {
            Failure::new(
                FailureName::InvalidPlan,
                format!(
                    "parameter {name} in {} is missing; put the {site} workspace's URL there",
                    ports.region
                ),
            )
        })?;
    WorkspaceUrl::parse(text.trim())
        .map_err(|e| Failure::new(FailureName::InvalidPlan, format!("parameter {name}: {e}")))
}

/// The URL that a run froze when it began: a change of the parameters meanwhile does not move a run.
///
/// # Errors
/// `StateCorrupt` if the run holds none.
pub fn frozen_url(run: &RunDocument, site: SiteLabel) -> Result<WorkspaceUrl, Failure> {
    let text = run
        .evidence
        .workspace_urls
        .get(&site)
        .map_or("", String::as_str);
    WorkspaceUrl::parse(text).map_err(|e| {
        Failure::new(
            FailureName::StateCorrupt,
            format!(
                "run {} holds no usable URL of the {site} site: {e}",
                run.run
            ),
        )
    })
}

/// A client of a site.
///
/// # Errors
/// `InvalidPlan` for a URL or id that is missing or unfit, `CredentialRefused` for a credential that is.
pub async fn connect(
    ports: &Ports,
    plan: &Plan,
    site: SiteLabel,
    role: Role,
    purpose: Purpose,
) -> Result<Workspace, Failure> {
    let url = workspace_url(ports, site).await?;
    connect_to(ports, plan, site, url, role, purpose).await
}

/// A client of a site at a URL that is known already, as one that a run has frozen.
///
/// # Errors
/// As [`connect`].
pub async fn connect_to(
    ports: &Ports,
    plan: &Plan,
    site: SiteLabel,
    url: WorkspaceUrl,
    role: Role,
    purpose: Purpose,
) -> Result<Workspace, Failure> {
    if !url.is_of_databricks() {
        return Err(Failure::new(
            FailureName::InvalidPlan,
            format!(
                "the {site} site's workspace-url {url} is no host of Databricks (databricks.com, .us, .mil): no credential is sent there; correct the parameter"
            ),
        ));
    }
    let (mut timeouts, share, retries, connections) = purpose.settings();
    match purpose {
        Purpose::Run | Purpose::Background => timeouts = faster(timeouts, ports.time_scale),
        // The call's limit is compared with the lock, which lives in our time.
        Purpose::Activation => {
            let total = timeouts.total.div_f64(ports.time_scale);
            timeouts.total = total.max(ACTIVATION_CALL);
        }
        Purpose::Probe(_) | Purpose::Fence(_) => {}
    }
    let workspace_id = plan
        .sites
        .get(site)
        .workspace_id
        .as_str()
        .parse()
        .map_err(|e| {
            Failure::new(
                FailureName::InvalidPlan,
                format!("sites.{site}.workspace_id: {e}"),
            )
        })?;
    let settings = Settings {
        url,
        workspace_id,
        credential: credential(ports, site, role).await?,
        timeouts,
        share,
        retries,
        connections,
        time_scale: ports.time_scale,
    };
    Workspace::connect(settings)
        .map_err(|e| Failure::new(FailureName::InvalidPlan, format!("the {site} site: {e}")))
}

/// The day on which a site's client secret ends, if whoever stored it said so.
///
/// # Errors
/// `CredentialRefused` for a parameter that is missing or unfit, or what SSM said.
pub async fn secret_expires_on(
    ports: &Ports,
    site: SiteLabel,
    role: Role,
) -> Result<Option<Date>, Failure> {
    let document = stored_credential(ports, site, role).await?;
    Ok(document.secret_expires_on)
}

fn refused(ports: &Ports, site: SiteLabel, role: Role, why: &str) -> Failure {
    let name = keys::credential(&ports.plan_name, site, role.as_str());
    Failure::new(
        FailureName::CredentialRefused,
        format!("parameter {name} in {} {why}", ports.region),
    )
}

async fn stored_credential(
    ports: &Ports,
    site: SiteLabel,
    role: Role,
) -> Result<CredentialDocument, Failure> {
    let name = keys::credential(&ports.plan_name, site, role.as_str());
    let refuse = |why: &str| refused(ports, site, role, why);
    let text = ports
        .parameters
        .get(&ports.region, &name)
        .await?
        .ok_or_else(|| {
            refuse("is missing; put the service principal's client_id there as a SecureString")
        })?;
    // The parser's own words could quote the secret.
    serde_json::from_str(&text).map_err(|_| {
        refuse("is not JSON of the form {\"client_id\": …} or {\"client_id\": …, \"client_secret\": …, \"secret_expires_on\": \"2027-01-31\"}")
    })
}

async fn credential(ports: &Ports, site: SiteLabel, role: Role) -> Result<Credential, Failure> {
    let CredentialDocument {
        client_id,
        client_secret,
        token,
        federation,
        secret_expires_on: _,
    } = stored_credential(ports, site, role).await?;
    match (client_id, client_secret, token, federation) {
        (Some(client_id), Some(client_secret), None, Some(false)) => Ok(Credential::ClientSecret {
            client_id,
            client_secret,
        }),
        (Some(client_id), fallback, None, None | Some(true)) => Ok(Credential::Federated {
            client_id,
            identity: identity(ports),
            fallback,
        }),
        (None, None, Some(token), None) => Ok(Credential::Token(token)),
        _ => Err(refused(
            ports,
            site,
            role,
            "must hold client_id, with a client_secret if federation is false, or token alone",
        )),
    }
}

/// The issuer of this function's identity tokens, as the client wants it.
fn identity(ports: &Ports) -> IdentitySource {
    let tokens = Arc::clone(&ports.identity);
    IdentitySource::new(move || {
        let tokens = Arc::clone(&tokens);
        Box::pin(async move {
            let token = tokens
                .token()
                .await
                .map_err(|failure| failure.to_string())?;
            Ok(Secret::new(token))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_an_activation_is_cut_off_like_one_of_a_fence() {
        let (timeouts, share, retries, connections) = Purpose::Activation.settings();
        let (usual, ..) = Purpose::Run.settings();
        assert_eq!(timeouts.call, Duration::from_secs(5));
        assert_eq!(timeouts.total, usual.total, "the patience stays");
        assert_eq!(
            (share, retries, connections),
            (RateShare::RUN, Retries::On, Connections::Pooled)
        );
    }
}
