//! hftp(7), byte for byte: tables of requests with their answers, sent whole and in pieces, and tests for long lines, names
//! and the end of connections.

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
