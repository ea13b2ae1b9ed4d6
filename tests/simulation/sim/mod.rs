//! The simulation. The suites `differential` and `fuzz` use parts of it.

#![allow(dead_code, reason = "each test binary uses its own part of this module")]

pub(crate) mod checks;
pub(crate) mod model;
pub(crate) mod oracle;
pub(crate) mod rng;
pub(crate) mod run;
pub(crate) mod script;
pub(crate) mod socket;
pub(crate) mod steps;
pub(crate) mod world;
