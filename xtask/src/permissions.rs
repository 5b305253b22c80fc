//! `cargo xtask permissions`: which statement of which role a drill needs, from the records that drills leave.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use drill::permissions::{Needs, StatementName};
use infrastructure::Documents;
use infrastructure::permissions::named_statements;

use crate::root;

/// Statements that no drill needs, each with the reason. `*` stands for every role.
const UNEXERCISED: &str = "infra/unexercised-permissions.json";

/// Reads the records, and fails for a statement that neither a drill needs nor the list explains.
pub(crate) fn run() -> Result<ExitCode, String> {
    let binaries =
        std::env::current_exe().map_err(|e| format!("this executable cannot be found: {e}"))?;
    let folder = binaries
        .parent()
        .unwrap_or(Path::new("."))
        .join("permissions");
    let (needs, drills) = read(&folder)?;
    let documents = Documents::read().map_err(|e| e.to_string())?;
    let reasons: BTreeMap<String, String> = serde_json::from_str(&root::read(UNEXERCISED)?)
        .map_err(|e| format!("{UNEXERCISED}: {e}"))?;
    let rows = judge(&named_statements(&documents), &needs, &reasons);
    for row in &rows {
        println!("{}", row.text());
    }
    let count = |wanted: fn(&Standing) -> bool| rows.iter().filter(|r| wanted(&r.standing)).count();
    let bad = count(|s| matches!(s, Standing::Unexplained));
    println!(
        "{} statements; {} needed by {} drills, {} listed with a reason, {} of both, {bad} of neither",
        rows.len(),
        count(|s| matches!(s, Standing::Needed(_))),
        drills,
        count(|s| matches!(s, Standing::Listed(_))),
        count(|s| matches!(s, Standing::Both(_))),
    );
    Ok(if bad == 0 {
        ExitCode::SUCCESS
    } else {
        println!(
            "records of drills lie in {}; `cargo xtask test` or `cargo drill --scenario NAME` makes them",
            folder.display()
        );
        ExitCode::FAILURE
    })
}

fn read(folder: &Path) -> Result<(Needs, usize), String> {
    let mut needs = Needs::default();
    let mut count = 0;
    let entries = std::fs::read_dir(folder).map_err(|e| {
        format!(
            "{}: {e}; run drills first: `cargo xtask test`",
            folder.display()
        )
    })?;
    for entry in entries.flatten() {
        let path = entry.path();
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let decisions: Vec<local_cloud::Decision> =
            serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        needs.add(&decisions);
        count += 1;
    }
    Ok((needs, count))
}

enum Standing {
    /// Without it this request would have been refused.
    Needed(String),
    /// No drill needs it, for this reason.
    Listed(String),
    /// No drill needs it, and nobody says why.
    Unexplained,
    /// A drill needed it although the list names it: by chance, or the list is old. This request would have been refused.
    Both(String),
}

struct Row {
    name: StatementName,
    standing: Standing,
    unused: Vec<String>,
}

impl Row {
    fn text(&self) -> String {
        let (mark, words) = match &self.standing {
            Standing::Needed(request) => ("needed ", request.clone()),
            Standing::Listed(reason) => ("listed ", reason.clone()),
            Standing::Unexplained => (
                "MISSING",
                "no drill needs it and no reason is given".to_owned(),
            ),
            Standing::Both(request) => (
                "both   ",
                format!("{request} (listed; a drill that always needs it makes the reason void)"),
            ),
        };
        let unused = match (&self.standing, self.unused.as_slice()) {
            (Standing::Needed(_), [_, ..]) => {
                format!(" (no drill asks for {})", self.unused.join(", "))
            }
            _ => String::new(),
        };
        format!("{mark} {:<58} {words}{unused}", self.name.to_string())
    }
}

fn judge(
    statements: &[(String, String, Vec<String>)],
    needs: &Needs,
    reasons: &BTreeMap<String, String>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (role, sid, actions) in statements {
        let name = StatementName {
            role: role.clone(),
            sid: sid.clone(),
        };
        let own = reasons.get(&name.to_string());
        let standing = match (needs.needed.get(&name), own) {
            (Some(request), Some(_)) => Standing::Both(request.clone()),
            (Some(request), None) => Standing::Needed(request.clone()),
            (None, _) => match own.or_else(|| reasons.get(&format!("*/{sid}"))) {
                Some(reason) => Standing::Listed(reason.clone()),
                None => Standing::Unexplained,
            },
        };
        let used = needs.used.get(&name);
        let unused = actions
            .iter()
            .filter(|action| !used.is_some_and(|used| used.contains(*action)))
            .cloned()
            .collect();
        rows.push(Row {
            name,
            standing,
            unused,
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_needed_or_explained_or_missing() {
        let statement = |sid: &str| {
            (
                "R".to_owned(),
                sid.to_owned(),
                vec!["s3:GetObject".to_owned()],
            )
        };
        let mut needs = Needs::default();
        let decision = |sid: &str| local_cloud::Decision {
            role: "R".to_owned(),
            action: "s3:GetObject".to_owned(),
            resource: "r".to_owned(),
            allowed_by: vec![sid.to_owned()],
            times: 1,
        };
        needs.add(&[decision("Needed"), decision("Both")]);
        let reasons = BTreeMap::from([
            ("*/Logs".to_owned(), "why".to_owned()),
            ("R/Both".to_owned(), "why".to_owned()),
        ]);
        let statements = ["Needed", "Logs", "Forgotten", "Both"].map(statement);
        let rows = judge(&statements, &needs, &reasons);
        let marks: Vec<String> = rows
            .iter()
            .map(|r| r.text()[..7].trim().to_owned())
            .collect();
        assert_eq!(marks, ["needed", "listed", "MISSING", "both"]);
    }
}
