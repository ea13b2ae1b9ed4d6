//! Compares the daemon's answers to random requests with those of a model of hftp(7), byte for byte.
//!
//! `HFTPD_TEST_LARGE=1` sends a million requests, `HFTPD_TEST_REQUESTS=N` sends N.

mod requests;
mod slices;

#[path = "../simulation/sim/mod.rs"]
mod sim;

#[path = "../support/mod.rs"]
mod support;
