//! Telling people that they are asked: one message for every question, with the link to the page if there is one.

use recovery::approval::{Brief, Forecast, Known, LinkKeys, Request, forecast, message};
use recovery::evidence::FrozenEvidence;
use recovery::failure::FailureName;
use recovery::plan::Plan;
use recovery::readiness::Readiness;
use recovery::report::History;
use recovery::run::RunDocument;
use serde::Deserialize;

use crate::notices::{Audience, Forms, Notice};
use crate::{Failure, Ports, keys};

/// What is needed of the readiness document.
#[derive(Deserialize)]
struct ReadinessSeen {
    readiness: Readiness,
}

impl Ports {
    /// The keys of the links; `None` before the first rotation.
    ///
    /// # Errors
    /// `StateCorrupt` if the parameter is no pair of keys, or what SSM said. Neither quotes it.
    pub async fn link_keys(&self) -> Result<Option<LinkKeys>, Failure> {
        let name = keys::approval_key(&self.plan_name);
        let parameter = self.parameters.get(&self.region, &name).await?;
        parameter
            .map(|text| LinkKeys::parse(&text))
            .transpose()
            .map_err(|bad| {
                Failure::new(FailureName::StateCorrupt, format!("parameter {name} {bad}"))
            })
    }

    /// The link to a request; `None` if there is no page or no key. It must stand nowhere but in the message.
    async fn link(&self, request: &Request) -> Option<String> {
        let base = self.page_url.as_deref()?;
        match self.link_keys().await {
            Ok(keys) => Some(format!(
                "{}/{}",
                base.trim_end_matches('/'),
                keys?.path(&self.plan_name, request)
            )),
            // A key that cannot be read costs the link, not the request.
            Err(failure) => {
                tracing::error!(name = %failure.name, message = %failure.message, "no link to the page");
                None
            }
        }
    }

    /// What people are shown of a request.
    ///
    /// # Errors
    /// `StateCorrupt`, or what the store said.
    pub async fn brief(
        &self,
        plan: &Plan,
        run: &RunDocument,
        request: &Request,
        link: Option<&str>,
    ) -> Result<(Brief, Option<FrozenEvidence>), Failure> {
        let evidence: Option<FrozenEvidence> =
            self.read(&keys::of_run(&run.run, "evidence.json")).await?;
        let readiness: Option<ReadinessSeen> =
            self.read(&keys::of_run(&run.run, "readiness.json")).await?;
        let brief = Brief::of(
            request,
            Known {
                plan,
                run,
                evidence: evidence.as_ref(),
                readiness: readiness.as_ref().map(|seen| &seen.readiness),
                link,
            },
        );
        Ok((brief, evidence))
    }

    /// Sends the message for a request. `occasion`: why, for example `reminder`; empty for the first.
    ///
    /// # Errors
    /// What the store or SNS said.
    pub async fn ask(
        &self,
        plan: &Plan,
        run: &RunDocument,
        request: &Request,
        audience: Audience,
        occasion: &str,
    ) -> Result<(), Failure> {
        let link = self.link(request).await;
        let (brief, _) = self.brief(plan, run, request, link.as_deref()).await?;
        let message = message(&brief, occasion);
        let notice = Notice {
            audience,
            subject: message.subject,
            message: message.text,
        };
        let forms = Forms {
            short: message.short,
            facts: message.facts.to_string(),
        };
        self.notices.publish_in_forms(notice, forms).await
    }

    /// Who would hear of it. Who they are cannot keep anybody from being asked.
    pub async fn listeners(&self, audience: Audience) -> Vec<String> {
        match self.notices.listeners(audience).await {
            Ok(listeners) => listeners,
            Err(failure) => {
                tracing::warn!(name = %failure.name, message = %failure.message, "who listens is not known");
                vec!["whoever listens to the topic (the list could not be read)".to_owned()]
            }
        }
    }

    /// How long the run would take. A history that cannot be read is none.
    pub async fn forecast(&self, plan: &Plan, run: &RunDocument) -> Forecast {
        let history: Option<History> = self.read(keys::HISTORY).await.ok().flatten();
        forecast(plan, run, &history.unwrap_or_default())
    }
}
