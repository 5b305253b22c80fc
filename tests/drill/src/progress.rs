//! What a person sees while a drill runs: one plain line per step and a bar.

use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Says what happens, on standard error, so that `--json` leaves standard output to the summary.
pub struct Progress {
    bar: ProgressBar,
    start: Instant,
    plain: bool,
}

impl Progress {
    /// A bar of so many steps; plain lines where there is no terminal.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let target = if plain {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(steps), target);
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} [{elapsed_precise}] {bar:30} {pos}/{len} {msg}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        Self {
            bar,
            start: Instant::now(),
            plain,
        }
    }

    /// A step is done or begins.
    pub fn say(&self, line: &str) {
        let text = format!("{:>7.1} s  {line}", self.start.elapsed().as_secs_f64());
        if self.plain {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
        self.bar.inc(1);
        self.bar
            .set_message(line.chars().take(60).collect::<String>());
    }

    /// Removes the bar.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
