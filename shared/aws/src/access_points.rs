//! S3 Multi-Region Access Points: reading and changing their routes.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_config::{Region as SdkRegion, SdkConfig};
use aws_sdk_s3control::Client;
use aws_sdk_s3control::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_s3control::types::MultiRegionAccessPointRoute;
use recovery::failure::FailureName;
use recovery::routes::Route;
use recovery::site::{AccessPointArn, Region};

use crate::Failure;
use crate::failure::aws_failure;

/// The port.
#[async_trait]
pub trait AccessPoints: Send + Sync {
    /// The routes, as the control endpoint in this region tells them.
    async fn routes(&self, region: &Region, point: &AccessPointArn) -> Result<Vec<Route>, Failure>;
    /// Changes routes by the control endpoint in this region; those that are not named stay. S3 may take two minutes to follow.
    async fn submit(
        &self,
        region: &Region,
        point: &AccessPointArn,
        routes: &[Route],
    ) -> Result<(), Failure>;
}

/// The adapter to S3's control API.
pub struct S3AccessPoints {
    config: SdkConfig,
}

impl S3AccessPoints {
    /// Clients are derived from this configuration.
    #[must_use]
    pub const fn new(config: SdkConfig) -> Self {
        Self { config }
    }

    fn client(&self, region: &Region) -> Client {
        let builder = aws_sdk_s3control::config::Builder::from(&self.config)
            .region(SdkRegion::new(region.as_str().to_owned()));
        // The SDK puts the account before the host's name, which a given address need not have. The header names it, too.
        Client::from_conf(
            match self.config.endpoint_url() {
                Some(url) => builder.endpoint_resolver(Given {
                    url: url.to_owned(),
                }),
                None => builder,
            }
            .build(),
        )
    }
}

/// An address that was given, as it is.
#[derive(Debug)]
struct Given {
    url: String,
}

impl ResolveEndpoint for Given {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.url.clone()).build()))
    }
}

#[async_trait]
impl AccessPoints for S3AccessPoints {
    async fn routes(&self, region: &Region, point: &AccessPointArn) -> Result<Vec<Route>, Failure> {
        let answer = self
            .client(region)
            .get_multi_region_access_point_routes()
            .account_id(point.account())
            .mrap(point.as_str())
            .send()
            .await
            .map_err(aws_failure!(format!(
                "reading the routes of {point} by {region}"
            )))?;
        Ok(answer
            .routes()
            .iter()
            .map(|route| Route {
                bucket: route.bucket().unwrap_or_default().to_owned(),
                region: Region::new(route.region().unwrap_or_default()),
                dial: route.traffic_dial_percentage(),
            })
            .collect())
    }

    async fn submit(
        &self,
        region: &Region,
        point: &AccessPointArn,
        routes: &[Route],
    ) -> Result<(), Failure> {
        let mut request = self
            .client(region)
            .submit_multi_region_access_point_routes()
            .account_id(point.account())
            .mrap(point.as_str());
        for route in routes {
            let update = MultiRegionAccessPointRoute::builder()
                .bucket(&route.bucket)
                .region(route.region.as_str())
                .traffic_dial_percentage(route.dial)
                .build()
                .map_err(|e| Failure::internal(format!("a route of {point}: {e}")))?;
            request = request.route_updates(update);
        }
        request
            .send()
            .await
            .map(|_| ())
            .map_err(aws_failure!(format!(
                "changing the routes of {point} by {region}"
            )))
    }
}

/// The in-memory twin: one access point, control regions that are dark, and changes that are not shown at once.
#[derive(Clone, Default)]
pub struct MemoryAccessPoints {
    inner: Arc<Mutex<Points>>,
}

#[derive(Default)]
struct Points {
    routes: Vec<Route>,
    pending: Vec<Route>,
    dark: Vec<Region>,
    stale_readings: usize,
    submits: usize,
}

impl MemoryAccessPoints {
    /// An access point with these routes. These control regions do not answer, and so many readings after a change still
    /// give what was before.
    #[must_use]
    pub fn new(routes: Vec<Route>, dark: Vec<Region>, stale_readings: usize) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Points {
                routes,
                dark,
                stale_readings,
                ..Points::default()
            })),
        }
    }

    /// How often routes were changed.
    #[must_use]
    pub fn submits(&self) -> usize {
        self.with(|points| points.submits)
    }

    fn with<R>(&self, act: impl FnOnce(&mut Points) -> R) -> R {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Points {
    fn answers(&self, region: &Region) -> Result<(), Failure> {
        if self.dark.contains(region) {
            let name = FailureName::Transient;
            return Err(Failure::new(name, format!("{region} does not answer")));
        }
        Ok(())
    }
}

#[async_trait]
impl AccessPoints for MemoryAccessPoints {
    async fn routes(&self, region: &Region, _: &AccessPointArn) -> Result<Vec<Route>, Failure> {
        self.with(|points| {
            points.answers(region)?;
            if points.stale_readings > 0 && !points.pending.is_empty() {
                points.stale_readings -= 1;
                return Ok(points.routes.clone());
            }
            for route in std::mem::take(&mut points.pending) {
                points.routes.retain(|old| old.bucket != route.bucket);
                points.routes.push(route);
            }
            Ok(points.routes.clone())
        })
    }

    async fn submit(
        &self,
        region: &Region,
        _: &AccessPointArn,
        routes: &[Route],
    ) -> Result<(), Failure> {
        self.with(|points| {
            points.answers(region)?;
            points.submits += 1;
            points.pending = routes.to_vec();
            Ok(())
        })
    }
}
