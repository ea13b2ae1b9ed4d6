//! Messages to a thread that waits in a poll. No message is lost: a thread that stops closes its mailbox when it is empty,
//! and a later message is returned to the sender.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, PoisonError};

use mio::{Registry, Token};

use super::sync::{Mutex, MutexGuard, Waker};

/// Sends messages to a thread. Clones send to the same thread.
pub(super) struct Mailbox<T> {
    queue: Arc<Mutex<Queue<T>>>,
    waker: Arc<Waker>,
}

/// Receives the messages. Dropping it closes the mailbox.
pub(super) struct Inbox<T> {
    queue: Arc<Mutex<Queue<T>>>,
    /// Keeps the descriptor open. If it were closed with the last [`Mailbox`], a wake-up that the poll has not reported yet
    /// would be lost.
    _waker: Arc<Waker>,
}

struct Queue<T> {
    messages: VecDeque<T>,
    closed: bool,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Mailbox<T> {
        Mailbox { queue: self.queue.clone(), waker: self.waker.clone() }
    }
}

impl<T> Mailbox<T> {
    /// Creates a mailbox. A message wakes the poll of `registry` with an event of `token`.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<(Mailbox<T>, Inbox<T>)> {
        let waker = Arc::new(Waker::new(registry, token)?);
        let queue = Arc::new(Mutex::new(Queue { messages: VecDeque::new(), closed: false }));
        Ok((Mailbox { queue: queue.clone(), waker: waker.clone() }, Inbox { queue, _waker: waker }))
    }

    /// Sends without waiting. A message to a stopped thread is dropped.
    pub(super) fn send(&self, message: T) {
        drop(self.offer(message));
    }

    /// Sends without waiting. Returns the message if the thread has stopped.
    pub(super) fn offer(&self, message: T) -> Result<(), T> {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Err(message);
        }
        // If there are messages, the thread was woken for them and will receive all.
        let wake = queue.messages.is_empty();
        queue.messages.push_back(message);
        drop(queue);
        if wake {
            // This fails only if the counter of wake-ups is full, and then the thread is awake.
            let _ = self.waker.wake();
        }
        Ok(())
    }
}

impl<T> Inbox<T> {
    /// The next message, if there is one.
    pub(super) fn next(&self) -> Option<T> {
        lock(&self.queue).messages.pop_front()
    }

    /// Closes the mailbox if it is empty. Returns whether it is closed.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut queue = lock(&self.queue);
        queue.closed |= queue.messages.is_empty();
        queue.closed
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        queue.closed = true;
        let left = std::mem::take(&mut queue.messages);
        drop(queue);
        // Dropping a message may send another.
        drop(left);
    }
}

/// No code that holds the lock panics.
fn lock<T>(queue: &Mutex<Queue<T>>) -> MutexGuard<'_, Queue<T>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use mio::Poll;

    use super::*;

    #[test]
    fn each_message_arrives_or_is_handed_back() {
        for _ in 0..200 {
            let poll = Poll::new().expect("a poll");
            let (mailbox, inbox) = Mailbox::new(poll.registry(), Token(0)).expect("a mailbox");
            let (received, returned) = std::thread::scope(|scope| {
                let senders: Vec<_> = (0..3)
                    .map(|sender| {
                        let mailbox = mailbox.clone();
                        scope
                            .spawn(move || (0..50).filter_map(|n| mailbox.offer((sender, n)).err()).collect::<Vec<_>>())
                    })
                    .collect();
                let mut received = Vec::new();
                loop {
                    received.extend(std::iter::from_fn(|| inbox.next()));
                    if received.len() > 20 && inbox.close_if_empty() {
                        break;
                    }
                }
                let returned: Vec<_> =
                    senders.into_iter().flat_map(|sender| sender.join().expect("no panic")).collect();
                (received, returned)
            });
            let mut all = [received, returned].concat();
            all.sort_unstable();
            let sent: Vec<(i32, i32)> = (0..3).flat_map(|sender| (0..50).map(move |n| (sender, n))).collect();
            assert_eq!(all, sent);
        }
    }
}
