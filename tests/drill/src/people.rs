//! The people of a drill: who is asked, by which door they answer, and who else reads the mail.

use local_cloud::Execution;
use serde_json::json;

use crate::page;
use crate::plan::NAME;
use crate::script::Drill;
use crate::{DrillError, Scenario};

impl Drill<'_> {
    /// A person has the message: that, and not the document, is what counts.
    pub(crate) async fn asked(&self, run: &str) -> Result<Option<String>, DrillError> {
        let messages = self.world.cloud.messages().await?;
        let mut asking = messages.into_iter().filter(|m| {
            m.subject
                .as_deref()
                .is_some_and(|s| s.contains("approve or decline"))
                && m.message.contains(run)
        });
        Ok(asking.next().map(|m| m.message))
    }

    pub(crate) async fn person(
        &self,
        execution: &Execution,
        message: &str,
    ) -> Result<(), DrillError> {
        if self.options.interactive {
            let links: Vec<String> = page::links(message).into_iter().collect();
            self.progress.say(&format!(
                "you are asked; open {} and decide (the plan's name is {NAME})",
                links
                    .first()
                    .map_or("the page: the message has no link", String::as_str)
            ));
            return Ok(());
        }
        if self.options.scenario == Scenario::ApprovedOnThePage {
            return self.scanner_then_person(execution, message).await;
        }
        let decision = match self.options.scenario {
            Scenario::NobodyApproves => {
                self.progress.say("a person is asked; nobody answers");
                return Ok(());
            }
            Scenario::Stopped => {
                self.progress
                    .say("a person is asked; somebody stops the execution in the console");
                self.world
                    .cloud
                    .stop_execution(&execution.arn, "stopped by hand")
                    .await?;
                return Ok(());
            }
            Scenario::Declined => "decline",
            _ => "approve",
        };
        if self.options.scenario == Scenario::TwoPeople {
            return self.two_people(&execution.name).await;
        }
        self.progress
            .say(&format!("a person is asked and decides: {decision}"));
        let act = json!({"act": "decide", "run": execution.name, "decision": decision,
            "who": "drill", "why": "the evidence is plain", "confirm": NAME});
        self.world.operate(&act).await.map(|_| ())
    }

    /// A typed name proves nobody, and nobody counts twice.
    async fn two_people(&self, run: &str) -> Result<(), DrillError> {
        let act = json!({"act": "decide", "run": run, "decision": "approve", "who": "drill", "why": "seen", "confirm": NAME});
        let refused = |what: &str| DrillError::Aws(format!("{what} counted as an approval"));
        if self.world.operate(&act).await.is_ok() {
            return Err(refused("a typed name"));
        }
        self.world.operate_as("ada", &act).await?;
        if self.world.operate_as("ada", &act).await.is_ok() {
            return Err(refused("the same person"));
        }
        self.progress.say(
            "one of two people has approved; a typed name and the same person again were refused",
        );
        self.world.operate_as("grace", &act).await?;
        self.progress.say("the second one approves");
        Ok(())
    }

    /// The question that a run asks on its way, if people have it: to leave a site that is not quiet, or something that does not start.
    pub(crate) async fn asked_on_the_way(&self, run: &str) -> Result<bool, DrillError> {
        let messages = self.world.cloud.messages().await?;
        Ok(messages.iter().any(|m| {
            let subject = m.subject.as_deref().unwrap_or_default();
            m.message.contains(run)
                && (subject.contains("although it is not quiet")
                    || subject.contains("without what does not start"))
        }))
    }

    /// People accept by name what stands in the way, and no less than that.
    pub(crate) async fn accept_on_the_way(&self, run: &str) -> Result<(), DrillError> {
        let mut act = json!({"act": "decide", "run": run, "decision": "approve", "who": "drill", "why": "the users wait"});
        if self.world.operate(&act).await.is_ok() {
            return Err(DrillError::Aws(
                "what stands in the way was accepted without naming it".to_owned(),
            ));
        }
        if let Some(fields) = act.as_object_mut() {
            fields.insert("confirm".to_owned(), NAME.into());
        }
        if self.options.scenario == Scenario::FailoverHalfDead {
            self.world.operate_as("ada", &act).await?;
            self.world.operate_as("grace", &act).await?;
            self.progress
                .say("two people accept by name what could not be fenced");
        } else {
            self.world.operate(&act).await?;
            self.progress
                .say("a person accepts by name what stands in the way");
        }
        Ok(())
    }

    /// A scanner reads the mail first and changes nothing; then a person decides on the page.
    async fn scanner_then_person(
        &self,
        execution: &Execution,
        message: &str,
    ) -> Result<(), DrillError> {
        use aws::store::Store;
        let decided = format!("runs/{}/decisions/", execution.name);
        let sent = page::scan(message).await?;
        self.progress.say(&format!(
            "a mail scanner follows every link of the request: {sent} requests"
        ));
        let found = self.world.store().list(&decided).await?;
        if sent == 0 || !found.is_empty() {
            return Err(DrillError::Aws(format!(
                "{sent} requests of a scanner led to {found:?}"
            )));
        }
        self.progress.say("a person opens the page and approves");
        page::approve(message, NAME, "drill", "the evidence is plain").await
    }

    /// A person is asked whether the run may go on although checks failed, and accepts it by name.
    pub(crate) async fn accept_and_resume(
        &self,
        ended: &Execution,
    ) -> Result<Execution, DrillError> {
        let asked = self.world.cloud.messages().await?.into_iter().any(|m| {
            m.subject
                .is_some_and(|s| s.contains("go on although checks failed"))
                && m.message.contains(&ended.name)
        });
        if !asked {
            return Err(DrillError::Aws(
                "nobody was asked whether to go on although checks failed".to_owned(),
            ));
        }
        let mut act = json!({"act": "decide", "run": ended.name, "decision": "approve",
            "who": "drill", "why": "the table is not needed tonight"});
        if self.world.operate(&act).await.is_ok() {
            return Err(DrillError::Aws(
                "failed checks were accepted without naming them".to_owned(),
            ));
        }
        if let Some(fields) = act.as_object_mut() {
            fields.insert("confirm".to_owned(), NAME.into());
        }
        self.world.operate(&act).await?;
        self.progress
            .say("the failed check is accepted by name; the run is resumed");
        self.resume(&ended.name).await
    }
}
