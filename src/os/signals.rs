#![expect(unsafe_code, reason = "neither rustix nor signal-hook has a call for the signal mask")]
//! The signal mask of a thread: pthread_sigmask(3).

use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// Blocks signals in the calling thread and in threads that it starts later. Blocked signals stay pending.
pub fn block(signals: &[libc::c_int]) -> io::Result<()> {
    change(libc::SIG_BLOCK, signals)
}

/// Unblocks signals in the calling thread. Pending signals are delivered.
pub fn unblock(signals: &[libc::c_int]) -> io::Result<()> {
    change(libc::SIG_UNBLOCK, signals)
}

fn change(how: libc::c_int, signals: &[libc::c_int]) -> io::Result<()> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset(3) initialises the set before it is used. The old mask is not requested.
    let error = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(how, set.as_ptr(), null_mut())
    };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}
