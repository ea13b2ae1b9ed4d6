//! Start, limits, timeouts, reload and shutdown of the daemon.

mod addresses;
mod background;
mod check;
mod drain;
mod limits;
mod limits_reloaded;
mod privileges;
mod reload;
mod reload_refused;
mod start;
mod timeouts;

#[path = "../support/mod.rs"]
mod support;
