//! The configuration: `/etc/hftp.toml` and the command line, read and checked.
//!
//! One table, [`SETTINGS`], contains the name of each setting, the values that it accepts, and when a change of it applies.
//! [`parse`] reads a text by that table and reports all its errors, each with its position ([`Diagnostics`]). A [`Config`]
//! contains only valid values. [`load`] applies the command line. [`diff`] reports what a reload changes.

mod defaults;
mod diagnostics;
mod diff;
mod dump;
mod field;
mod file;
mod keywords;
mod load;
mod path;
mod settings;
mod similar;
mod types;
mod units;

pub use defaults::descriptors_for;
pub(crate) use defaults::{connections_for, worker_count};
pub use diagnostics::{Diagnostic, Diagnostics};
pub use diff::{Changes, diff};
pub use dump::dump;
pub use file::parse;
pub use load::{DEFAULT_FILE, FILE_MAX, LoadError, Overrides, Source, control_path, load};
pub(crate) use path::absolute;
pub use settings::{Applies, SETTINGS, Setting};
pub(crate) use similar::most_similar;
pub use types::{Config, DEFAULT_PORT, Facility, Files, Limits, Listener, Log, LogTarget, Timeouts, Workers};
