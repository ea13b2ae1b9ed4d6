#![no_main]

#[path = "../../simulation/sim/mod.rs"]
#[allow(dead_code, reason = "each target uses its own part of it")]
mod sim;
#[path = "../targets/mod.rs"]
#[allow(dead_code, reason = "each target uses its own part of it")]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::answers::answers(input));
