//! The parts of the simulation. Tests that compare the daemon with the model of the protocol use some of them too.

#![allow(dead_code, reason = "each test binary uses its own part of this module")]

pub(crate) mod checks;
pub(crate) mod dice;
pub(crate) mod model;
pub(crate) mod oracle;
pub(crate) mod run;
pub(crate) mod script;
pub(crate) mod steps;
pub(crate) mod wire;
pub(crate) mod world;
