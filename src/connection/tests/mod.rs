//! How much a connection reads, answers and sends at a time, and in which calls.

mod rounds;
mod sending;
mod world;
