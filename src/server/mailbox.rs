//! Messages to a thread that sleeps in a poll.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use mio::{Registry, Token, Waker};

/// The way to a thread. Clones lead to the same.
pub(super) struct Mailbox<T> {
    sender: Sender<T>,
    waker: Arc<Waker>,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Mailbox<T> {
        Mailbox { sender: self.sender.clone(), waker: self.waker.clone() }
    }
}

impl<T> Mailbox<T> {
    /// A mailbox whose owner is woken by an event of `token` in the poll of `registry`.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<(Mailbox<T>, Receiver<T>)> {
        let waker = Arc::new(Waker::new(registry, token)?);
        let (sender, receiver) = channel();
        Ok((Mailbox { sender, waker }, receiver))
    }

    /// Sends, without waiting. What is sent to a thread that has ended is dropped.
    pub(super) fn send(&self, message: T) {
        if self.sender.send(message).is_ok() {
            // It fails only when the counter of wake-ups is full, and then the thread is awake.
            let _ = self.waker.wake();
        }
    }
}
