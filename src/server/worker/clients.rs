//! What an event loop does for one client.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Instant;

use mio::Token;

use super::client::{Client, Socket};
use super::{ROUND, SHARED, Worker};
use crate::connection::{Answered, Cause, CloseReason, Connection, Context, Event, Task};
use crate::handle::Fault;
use crate::log::{self, Access, Escaped};
use crate::server::messages::Reply;
use crate::server::pool::{Batch, Lent};

impl Worker {
    /// Puts a client into the poll and into the queue.
    pub(crate) fn insert(&mut self, mut client: Client) {
        let token = self.clients.next_token();
        client.queued = true;
        let registered = client.socket.stream.register(self.poll.registry(), token);
        self.clients.insert(client);
        if let Err(error) = registered {
            ::log::error!("cannot wait for a client: {error}");
            self.remove(token, CloseReason::Reset);
        } else {
            self.queues.arrived.push_back(token);
        }
    }

    pub(crate) fn remove(&mut self, token: Token, reason: CloseReason) {
        let Some(client) = self.clients.remove(token) else { return };
        if client.socket.leave() {
            self.shared.pool.abandon();
        }
        self.tally.closed(reason);
        ::log::debug!("{} is gone: {}", client.peer.address(), reason.name());
        if client.entered {
            self.count_out(client.peer.ip);
        } else {
            self.acceptor.rejected -= 1;
        }
    }

    /// Takes what a client has sent.
    pub(crate) fn receive(&mut self, token: Token, now: Instant) {
        self.with_connection(token, now, |connection, cx| connection.receive(cx));
    }

    /// Does for a client what can be done now, within a round's budget.
    pub(crate) fn serve(&mut self, token: Token, cause: Cause, now: Instant) {
        if self.with_connection(token, now, |connection, cx| connection.drive(cause, cx)) {
            self.set_timer(token);
        }
    }

    /// A thread gives back a client's answers. Answers of a client that has gone are counted all the same.
    pub(crate) fn take_back(&mut self, lent: Lent, now: Instant) {
        if self.clients.get_mut(lent.token).is_some() {
            return self.serve(lent.token, Cause::Sent(lent.task), now);
        }
        self.happened.extend(lent.task.abandon());
        self.tell(lent.peer, now);
    }

    /// Calls `step`, and deals with what came of it. Returns whether the client is still there.
    fn with_connection(
        &mut self,
        token: Token,
        now: Instant,
        step: impl FnOnce(&mut Connection, &mut Context<'_, Socket>),
    ) -> bool {
        let Some(client) = self.clients.get_mut(token) else { return false };
        let mut cx = Context {
            transport: &mut client.socket,
            files: &mut self.files,
            settings: &self.settings,
            now,
            draining: self.draining,
            record: log::access_enabled(),
            scratch: &mut self.scratch,
            events: &mut self.happened,
            task: None,
            budget: ROUND,
        };
        step(&mut client.connection, &mut cx);
        let (task, closed) = (cx.task, client.connection.closed());
        if task.is_some() || !self.happened.is_empty() {
            let (peer, stream) = (client.peer.address(), client.socket.stream.clone());
            match task {
                None => {}
                Some(Task::LookUp(job)) => {
                    let policy = Some(self.policy.clone());
                    let reply = Reply { worker: self.mailbox.clone(), token, policy, stream, sent: false };
                    self.shared.pool.look_up(job, reply);
                }
                Some(Task::Send(task)) => self.lend(Lent { token, peer, stream, task }),
            }
            self.tell(peer, now);
        }
        if let Some(reason) = closed {
            self.remove(token, reason);
        }
        closed.is_none()
    }

    /// Has a thread send a client's answers. Small ones that no event loop can read share a thread with others of this
    /// round, for to wake one costs more than to send them. Those of a file system that may hang for one file alone do
    /// not, for each would wait for those before it.
    fn lend(&mut self, lent: Lent) {
        if lent.task.may_follow() {
            self.lent.push(lent);
        } else {
            self.shared.pool.send(Batch { worker: self.mailbox.clone(), answers: vec![lent] });
        }
    }

    /// Gives the small answers of this round to threads.
    pub(crate) fn lend_all(&mut self) {
        self.lent.sort_by_key(|lent| lent.task.device());
        while let Some(last) = self.lent.last() {
            let device = last.task.device();
            let same = self.lent.iter().rev().take_while(|lent| lent.task.device() == device).take(SHARED).count();
            let answers = self.lent.split_off(self.lent.len() - same);
            self.shared.pool.send(Batch { worker: self.mailbox.clone(), answers });
        }
    }

    /// Puts a client that is not done into the queue again, and sees to its deadline.
    pub(crate) fn set_timer(&mut self, token: Token) {
        let Some(client) = self.clients.get_mut(token) else { return };
        if !client.queued && client.is_ready() {
            client.queued = true;
            self.queues.unfinished.push_back(token);
        }
        if let Some(deadline) = client.connection.deadline(&self.settings) {
            self.timers.set(token, deadline, &mut client.timer);
        }
    }

    /// Counts and logs what happened on a connection.
    fn tell(&mut self, peer: std::net::SocketAddr, now: Instant) {
        for event in self.happened.drain(..) {
            match event {
                Event::Answered(answered) => {
                    self.tally.answered(&answered);
                    if self.shared.root_is_lost.load(Ordering::Relaxed) && self.files.is_available() {
                        self.shared.root_is_lost.store(false, Ordering::Relaxed);
                        ::log::info!("the root {} is there again", self.policy.root.display());
                    }
                    let Answered { code, bytes, since, complete, request } = answered;
                    if let Some(request) = request {
                        let duration = since.elapsed();
                        log::access(Access { peer, request, code: code.number(), bytes, duration, complete });
                    }
                }
                Event::Fault { fault: Fault::Root(errno), .. } => {
                    if !self.shared.root_is_lost.swap(true, Ordering::Relaxed) {
                        let (root, error) = (self.policy.root.display(), io::Error::from(errno));
                        ::log::error!(
                            "cannot reach the root {root}: {error}; requests get 199 until it is there again"
                        );
                    }
                }
                Event::Fault { name, fault } => {
                    if let Some(suppressed) = self.faults.tick(now) {
                        let name = name.as_deref().unwrap_or(b"the directory or a file that is being sent");
                        ::log::warn!(
                            "cannot read {} in {}: {fault} ({suppressed} like messages were left out)",
                            Escaped(name),
                            self.policy.root.display()
                        );
                    }
                }
            }
        }
    }
}
