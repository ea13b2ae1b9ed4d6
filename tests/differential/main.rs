//! The daemon against a plain model of the protocol: very many requests, made by the grammar, damaged, or thrown
//! together, get the answers that hftp(7) says, to the byte.
//!
//! `HFTPD_TEST_LARGE=1` asks a million requests, `HFTPD_TEST_REQUESTS=N` so many.

mod requests;
mod slices;

#[path = "../simulation/sim/mod.rs"]
mod sim;

#[path = "../support/mod.rs"]
mod support;
