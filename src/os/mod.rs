//! What the kernel is asked for. The only folder with unsafe code.

pub mod clock;
pub mod privileges;
pub mod sandbox;
pub mod stdio;
