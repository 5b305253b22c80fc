//! The shell commands of a page of Markdown.

/// A chapter of the guide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    /// Its heading.
    pub(super) title: String,
    /// Its blocks of shell commands.
    pub(super) blocks: Vec<String>,
}

/// The sections (`## `) that have blocks of shell commands (fenced with `sh`), in order.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let mut found = vec![Section::default()];
    let mut block: Option<String> = None;
    let mut fenced = false;
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            if let (Some(block), Some(section)) = (block.take(), found.last_mut()) {
                section.blocks.push(block);
            }
            fenced = !fenced;
            block = (fenced && kind == "sh").then(String::new);
        } else if let Some(block) = &mut block {
            block.push_str(line);
            block.push('\n');
        } else if let (false, Some(title)) = (fenced, line.strip_prefix("## ")) {
            found.push(Section {
                title: title.to_owned(),
                blocks: Vec::new(),
            });
        }
    }
    found.retain(|section| !section.blocks.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shell_blocks_are_commands_and_each_belongs_to_its_heading() {
        let page = "# Guide\n```\n## not a heading\n```\n## One\ntext\n```sh\na\n\nb\n```\n```json\n{}\n```\n```sh\nc\n```\n## Two\n## Three\n```sh\n## d\n```\n";
        let section = |title: &str, blocks: &[&str]| Section {
            title: title.to_owned(),
            blocks: blocks.iter().map(|b| (*b).to_owned()).collect(),
        };
        assert_eq!(
            sections(page),
            [
                section("One", &["a\n\nb\n", "c\n"]),
                section("Three", &["## d\n"])
            ]
        );
    }

    #[test]
    fn the_guide_names_each_step_that_the_rehearsal_helps_along() {
        let text = include_str!("../../../../docs/deploy.md");
        let titles: Vec<String> = sections(text).into_iter().map(|s| s.title).collect();
        for step in [
            "Your values",
            "1.",
            "2.",
            "3.",
            "4.",
            "Several plans",
            "Upgrade",
            "Removal",
        ] {
            assert!(
                titles.iter().any(|t| t.starts_with(step)),
                "{step}: {titles:?}"
            );
        }
    }
}
