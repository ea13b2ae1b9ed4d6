//! Progress on a terminal: a bar for each file that is being received, and one for the total.

use std::sync::Mutex;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bars. Where standard error is no terminal they show nothing.
pub(super) struct Progress {
    bars: MultiProgress,
    total: Mutex<Option<Total>>,
}

/// The bar of all files.
#[derive(Clone)]
struct Total {
    bar: ProgressBar,
    /// Whether the bars of complete files stay above it.
    keeps_files: bool,
}

/// With more files than this, the bars of complete files are removed.
const KEPT: usize = 8;

/// Counts the bytes of one file.
pub(super) struct Meter {
    file: Option<ProgressBar>,
    total: Option<Total>,
    bars: Option<MultiProgress>,
}

impl Progress {
    pub(super) fn new(is_shown: bool) -> Progress {
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Progress { bars: MultiProgress::with_draw_target(target), total: Mutex::new(None) }
    }

    /// Prints something above the bars.
    pub(super) fn above(&self, print: impl FnOnce()) {
        self.bars.suspend(print);
    }

    pub(super) fn begin(&self, files: usize, bytes: u64) {
        if files > 1 {
            let bar = self.bars.add(ProgressBar::new(bytes).with_style(style()).with_prefix(prefix("total")));
            *self.total() = Some(Total { bar, keeps_files: files <= KEPT });
        }
    }

    pub(super) fn meter(&self, name: &str, size: u64) -> Meter {
        let bar = ProgressBar::new(size).with_style(style()).with_prefix(prefix(name));
        let total = self.total().clone();
        let bar = match &total {
            Some(total) => self.bars.insert_before(&total.bar, bar),
            None => self.bars.add(bar),
        };
        Meter { file: Some(bar), total, bars: Some(self.bars.clone()) }
    }

    pub(super) fn meter_of_many(&self) -> Meter {
        Meter { file: None, total: self.total().clone(), bars: None }
    }

    pub(super) fn end(&self) {
        if let Some(total) = self.total().take() {
            total.bar.finish();
        }
    }

    fn total(&self) -> std::sync::MutexGuard<'_, Option<Total>> {
        self.total.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Meter {
    /// Of a transfer without progress.
    pub(super) fn none() -> Meter {
        Meter { file: None, total: None, bars: None }
    }

    /// More bytes are there.
    pub(super) fn add(&self, count: u64) {
        self.bars().for_each(|bar| bar.inc(count));
    }

    /// Bytes of an earlier try are there. They do not count for the rate.
    pub(super) fn resume(&self, count: u64) {
        self.bars().for_each(|bar| {
            bar.inc(count);
            bar.reset_eta();
        });
    }

    /// The file begins again.
    pub(super) fn restart(&self, had: u64, size: u64) {
        self.bars().for_each(|bar| bar.dec(had));
        if let Some(bar) = &self.file {
            bar.set_length(size);
        }
    }

    fn bars(&self) -> impl Iterator<Item = &ProgressBar> {
        self.file.iter().chain(self.total.iter().map(|total| &total.bar))
    }
}

impl Drop for Meter {
    /// The bars of a few complete files stay; of many, the total shows them.
    fn drop(&mut self) {
        if let Some(bar) = &self.file {
            match &self.total {
                None | Some(Total { keeps_files: true, .. }) => bar.abandon(),
                Some(_) => {
                    bar.finish_and_clear();
                    if let Some(bars) = &self.bars {
                        bars.remove(bar);
                    }
                }
            }
        }
    }
}

fn columns() -> usize {
    usize::from(console::Term::stderr().size().1)
}

/// Fits a name into a third of the line, with its end, which tells files apart.
fn prefix(name: &str) -> String {
    let width = (columns() / 3).clamp(8, 30);
    let count = name.chars().count();
    if count <= width {
        return format!("{name:width$}");
    }
    let end: String = name.chars().skip(count + 1 - width).collect();
    format!("\u{2026}{end}")
}

/// One line, whatever the width of the terminal.
fn style() -> ProgressStyle {
    let has_color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let bar = if has_color { "{wide_bar:.cyan}" } else { "{wide_bar}" };
    let template = match columns() {
        0..60 => format!("{{prefix}} {bar} {{percent:>3}}% {{eta:>4}}"),
        _ => format!("{{prefix}} {bar} {{percent:>3}}% {{bytes:>10}} {{binary_bytes_per_sec:>12}} {{eta:>4}}"),
    };
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("#> ")
}
