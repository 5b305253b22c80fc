//! `reports/lessons.json`: what runs taught, carried from report to report until somebody has resolved it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::site::RunId;

/// The version of `reports/lessons.json`.
pub const LESSONS_FORMAT: u32 = 1;
/// The newest resolved lessons that are kept.
const MOST_RESOLVED: usize = 200;
/// The most open lessons: a longer list is read by nobody.
const MOST_OPEN: usize = 100;

/// All lessons, oldest first. Changed by compare-and-swap only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lessons {
    /// Always [`LESSONS_FORMAT`].
    pub format_version: u32,
    /// The number of the next lesson.
    pub next: u32,
    /// The lessons.
    pub lessons: Vec<Lesson>,
}

/// One lesson.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lesson {
    /// Its number, by which it is resolved.
    pub number: u32,
    /// The run that taught it, if one did.
    #[serde(default)]
    pub run: Option<RunId>,
    /// What is to be done differently.
    pub lesson: String,
    /// What showed it.
    pub why: String,
    /// Who wrote it down.
    pub who: String,
    /// When.
    pub at: Timestamp,
    /// How it was resolved; none while it is open.
    #[serde(default)]
    pub resolved: Option<Resolved>,
}

/// How a lesson was resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resolved {
    /// By what.
    pub how: String,
    /// Who says so.
    pub who: String,
    /// When.
    pub at: Timestamp,
}

impl Default for Lessons {
    fn default() -> Self {
        Self {
            format_version: LESSONS_FORMAT,
            next: 1,
            lessons: Vec::new(),
        }
    }
}

impl Lessons {
    /// Adds a lesson and gives its number. The same words again are the same lesson: an act may be repeated.
    ///
    /// # Errors
    /// The reason, if too many are open.
    pub fn add(
        &mut self,
        run: Option<RunId>,
        lesson: &str,
        who: &str,
        why: &str,
        at: Timestamp,
    ) -> Result<u32, String> {
        let open = || self.lessons.iter().filter(|l| l.resolved.is_none());
        if let Some(known) = open().find(|l| l.lesson == lesson && l.run == run) {
            return Ok(known.number);
        }
        if open().count() >= MOST_OPEN {
            return Err(format!("{MOST_OPEN} lessons are open; resolve some first"));
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.lessons.push(Lesson {
            number,
            run,
            lesson: lesson.to_owned(),
            why: why.to_owned(),
            who: who.to_owned(),
            at,
            resolved: None,
        });
        Ok(number)
    }

    /// Resolves a lesson. Resolving it again changes nothing.
    ///
    /// # Errors
    /// The reason, if there is no such lesson.
    pub fn resolve(
        &mut self,
        number: u32,
        who: &str,
        how: &str,
        at: Timestamp,
    ) -> Result<(), String> {
        let open: Vec<String> = self
            .lessons
            .iter()
            .filter(|l| l.resolved.is_none())
            .map(|l| l.number.to_string())
            .collect();
        let lesson = self
            .lessons
            .iter_mut()
            .find(|l| l.number == number)
            .ok_or_else(|| format!("there is no lesson {number}; open are: {}", open.join(", ")))?;
        lesson.resolved.get_or_insert_with(|| Resolved {
            how: how.to_owned(),
            who: who.to_owned(),
            at,
        });
        self.forget();
        Ok(())
    }

    /// Drops the oldest resolved ones beyond the bound.
    fn forget(&mut self) {
        let resolved = self.lessons.iter().filter(|l| l.resolved.is_some()).count();
        let mut surplus = resolved.saturating_sub(MOST_RESOLVED);
        self.lessons.retain(|lesson| {
            let drop = surplus > 0 && lesson.resolved.is_some();
            surplus -= usize::from(drop);
            !drop
        });
    }

    /// Those of a report: open ones, and what was resolved since the report before.
    #[must_use]
    pub fn for_report(&self, before: Option<Timestamp>) -> Vec<Lesson> {
        let told = |lesson: &&Lesson| {
            lesson
                .resolved
                .as_ref()
                .is_none_or(|resolved| before.is_none_or(|before| resolved.at > before))
        };
        self.lessons.iter().filter(told).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_lesson_is_carried_until_it_is_resolved_and_told_once_more_then() {
        let mut lessons = Lessons::default();
        let run = Some(RunId::new("run-1"));
        let number = lessons
            .add(
                run.clone(),
                "more idle instances",
                "Ada",
                "slow pools",
                at(1),
            )
            .unwrap();
        // Repeated, as an act may be.
        let again = lessons.add(run, "more idle instances", "Ada", "slow pools", at(2));
        assert_eq!(again, Ok(number));
        let open = |lessons: &Lessons, before| lessons.for_report(Some(at(before))).len();
        assert_eq!((open(&lessons, 10), open(&lessons, 1000)), (1, 1));
        lessons
            .resolve(number, "Ada", "ten instances", at(20))
            .unwrap();
        lessons.resolve(number, "Eve", "nothing", at(21)).unwrap();
        assert_eq!(lessons.lessons[0].resolved.as_ref().unwrap().who, "Ada");
        assert_eq!((open(&lessons, 10), open(&lessons, 30)), (1, 0));
        let problem = lessons.resolve(7, "Ada", "x", at(1)).unwrap_err();
        assert!(problem.contains("no lesson 7"), "{problem}");
    }

    #[test]
    fn the_document_stays_bounded_and_numbers_are_never_given_twice() {
        let mut lessons = Lessons::default();
        for i in 0..500 {
            let number = lessons
                .add(None, &format!("lesson {i}"), "Ada", "why", at(i))
                .unwrap();
            lessons.resolve(number, "Ada", "done", at(i)).unwrap();
        }
        assert_eq!(lessons.lessons.len(), MOST_RESOLVED);
        assert_eq!(lessons.next, 501);
        for i in 0..MOST_OPEN {
            lessons
                .add(None, &format!("open {i}"), "Ada", "why", at(0))
                .unwrap();
        }
        assert!(lessons.add(None, "one more", "Ada", "why", at(0)).is_err());
    }
}
