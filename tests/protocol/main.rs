//! What goes over the wire, byte for byte, as hftp(7) has it: tables of requests with their answers, replayed whole and
//! in pieces against the daemon, and what a table cannot say.

mod endings;
mod examples;
mod grammar;
mod long_lines;
mod names;
mod numbers;
mod pieces;
mod row;

#[path = "../support/mod.rs"]
mod support;
