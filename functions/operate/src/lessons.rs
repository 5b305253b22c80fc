//! What runs taught: written down, and resolved.

use aws::documents::Change;
use aws::{Failure, Ports, keys};
use recovery::report::Lessons;
use recovery::site::RunId;

use crate::invalid;

/// The longest lesson, characters.
const LONGEST: usize = 1000;

pub(crate) async fn add(
    ports: &Ports,
    run: Option<&RunId>,
    lesson: &str,
    who: &str,
    why: &str,
) -> Result<String, Failure> {
    if lesson.trim().is_empty() || lesson.chars().count() > LONGEST {
        return Err(invalid(format!(
            "lesson must say what is to be done differently, in at most {LONGEST} characters"
        )));
    }
    // A run that never was taught nothing.
    if let Some(run) = run {
        ports.run(run).await?;
    }
    let now = ports.now();
    let number = ports
        .change(keys::LESSONS, |stored: &mut Option<Lessons>| {
            let lessons = stored.get_or_insert_default();
            let number = lessons.add(run.cloned(), lesson, who, why, now);
            number.map(Change::Write).map_err(invalid)
        })
        .await?;
    Ok(format!(
        "lesson {number} is written down; every report has it until it is resolved"
    ))
}

pub(crate) async fn resolve(
    ports: &Ports,
    lesson: u32,
    who: &str,
    how: &str,
) -> Result<String, Failure> {
    let now = ports.now();
    ports
        .change(keys::LESSONS, |stored: &mut Option<Lessons>| {
            let lessons = stored.get_or_insert_default();
            let resolved = lessons.resolve(lesson, who, how, now);
            resolved.map(Change::Write).map_err(invalid)
        })
        .await?;
    Ok(format!("lesson {lesson} is resolved"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use aws::Invocation;
    use aws::fence_watch::MemoryFenceWatch;
    use recovery::failure::FailureName;
    use serde_json::{Value, json};

    use super::*;
    use crate::{Event, handle};

    async fn ports() -> Ports {
        let plan: Value =
            serde_json::from_str(include_str!("../../../infra/plan.example.json")).unwrap();
        let region = recovery::site::Region::new("us-west-2");
        let name = recovery::site::PlanName::new(plan["name"].as_str().unwrap());
        let (ports, ..) = Ports::in_memory(name, region, Arc::new(jiff::Timestamp::now));
        ports.create(keys::PLAN, &plan).await.unwrap();
        ports
    }

    async fn act(ports: &Ports, act: Value) -> Result<String, Failure> {
        let event: Event = serde_json::from_value(act).unwrap();
        let reply = handle(
            event,
            ports,
            &MemoryFenceWatch::default(),
            &Invocation::lasting(Duration::from_secs(60)),
        )
        .await?;
        let reply = serde_json::to_value(reply).unwrap();
        Ok(reply["done"].as_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_lesson_is_written_down_by_command_and_resolved_by_its_number() {
        let ports = ports().await;
        let add = json!({"act": "add-lesson", "lesson": "ten idle instances", "who": "Ada", "why": "slow pools"});
        let done = act(&ports, add.clone()).await.unwrap();
        assert!(done.contains("lesson 1"), "{done}");
        act(&ports, add).await.unwrap();
        let stored: Lessons = ports.read(keys::LESSONS).await.unwrap().unwrap();
        assert_eq!(stored.lessons.len(), 1);
        let resolve =
            json!({"act": "resolve-lesson", "lesson": 1, "who": "Eve", "why": "ten are there"});
        act(&ports, resolve).await.unwrap();
        let stored: Lessons = ports.read(keys::LESSONS).await.unwrap().unwrap();
        assert_eq!(stored.lessons[0].resolved.as_ref().unwrap().who, "Eve");
    }

    #[tokio::test]
    async fn an_empty_lesson_a_run_that_never_was_and_an_unknown_number_are_refused() {
        let ports = ports().await;
        for refused in [
            json!({"act": "add-lesson", "lesson": " ", "who": "Ada", "why": "x"}),
            json!({"act": "add-lesson", "run": "nothing", "lesson": "x", "who": "Ada", "why": "x"}),
            json!({"act": "resolve-lesson", "lesson": 9, "who": "Ada", "why": "x"}),
        ] {
            let failure = act(&ports, refused.clone()).await.unwrap_err();
            assert_eq!(failure.name, FailureName::InvalidEvent, "{refused}");
        }
        let stored: Option<Lessons> = ports.read(keys::LESSONS).await.unwrap();
        assert_eq!(stored, None);
    }
}
