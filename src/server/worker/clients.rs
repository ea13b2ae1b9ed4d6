//! What an event loop does for one client.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Instant;

use mio::Token;

use super::{Cause, ROUND, SHARED, Worker};
use crate::connection::{Answered, CloseReason, Context, Event, Task};
use crate::handle::Fault;
use crate::log::{self, Access, Escaped};
use crate::server::Reply;
use crate::server::client::Client;
use crate::server::pool::{Batch, Lent};

impl Worker {
    /// Puts a client into the poll and into the queue.
    pub(in crate::server) fn insert(&mut self, mut client: Client) {
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

    pub(super) fn remove(&mut self, token: Token, reason: CloseReason) {
        let Some(client) = self.clients.remove(token) else { return };
        if client.socket.leave() {
            self.shared.pool.abandon();
        }
        self.tally.closed(reason);
        ::log::debug!("{} is gone: {}", client.peer.address(), reason.name());
        if client.entered {
            self.count_out(client.peer.ip);
        } else {
            self.accepting.turned_away -= 1;
        }
    }

    /// Does for a client what can be done now, within a round's budget.
    pub(super) fn serve(&mut self, token: Token, cause: Cause, now: Instant) {
        let Some(client) = self.clients.get_mut(token) else {
            return self.abandon(cause, now);
        };
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
        let connection = &mut client.connection;
        let goes_on = !matches!(cause, Cause::Received);
        match cause {
            Cause::Received => connection.receive(&mut cx),
            Cause::Ready => client.queued = false,
            Cause::Deadline => connection.handle_deadline(&mut cx),
            Cause::Found(done) => connection.handle_found(done, &mut cx),
            Cause::Sent(lent) => {
                cx.transport.set_writable(lent.task.left_room());
                connection.handle_sent(*lent.task, &mut cx);
            }
            Cause::Drain => {
                cx.transport.look_again();
                connection.handle_drain(&mut cx);
            }
            Cause::Reset => connection.handle_reset(&mut cx),
            Cause::Cut => connection.handle_abort(CloseReason::Cut, &mut cx),
        }
        while goes_on && cx.budget > 0 && cx.task.is_none() {
            let events = connection.events();
            if events.run || (events.read && cx.transport.is_readable()) {
                connection.handle_input(&mut cx);
            } else if events.write && cx.transport.is_writable() {
                connection.handle_output(&mut cx);
            } else {
                break;
            }
        }
        let (task, gone) = (cx.task, connection.to_remove());
        if task.is_some() || !self.happened.is_empty() {
            let (peer, stream) = (client.peer.address(), client.socket.stream.clone());
            match task {
                None => {}
                Some(Task::LookUp(job)) => {
                    let policy = Some(self.policy.clone());
                    let reply = Reply { worker: self.mailbox.clone(), token, policy, stream, sent: false };
                    self.shared.pool.look_up(job, reply);
                }
                Some(Task::Send(task)) => {
                    client.socket.forget_room();
                    self.lend(Lent { token, peer, stream, task });
                }
            }
            self.tell(peer, now);
        }
        match gone {
            Some(reason) => self.remove(token, reason),
            None if goes_on => self.set_alarm(token),
            None => {}
        }
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
    pub(super) fn lend_all(&mut self) {
        self.lent.sort_by_key(|lent| lent.task.device());
        while let Some(last) = self.lent.last() {
            let device = last.task.device();
            let same = self.lent.iter().rev().take_while(|lent| lent.task.device() == device).take(SHARED).count();
            let answers = self.lent.split_off(self.lent.len() - same);
            self.shared.pool.send(Batch { worker: self.mailbox.clone(), answers });
        }
    }

    /// What comes for a client that has gone is counted all the same.
    fn abandon(&mut self, cause: Cause, now: Instant) {
        if let Cause::Sent(Lent { peer, task, .. }) = cause {
            self.happened.extend(task.abandon());
            self.tell(peer, now);
        }
    }

    /// Puts a client that is not done into the queue again, and sees to its deadline.
    pub(super) fn set_alarm(&mut self, token: Token) {
        let Some(client) = self.clients.get_mut(token) else { return };
        if !client.queued && client.is_ready() {
            client.queued = true;
            self.queues.unfinished.push_back(token);
        }
        if let Some(deadline) = client.connection.deadline(&self.settings) {
            self.timers.set(token, deadline, &mut client.alarm);
        }
    }

    /// Counts and logs what happened on a connection.
    fn tell(&mut self, peer: std::net::SocketAddr, now: Instant) {
        for event in self.happened.drain(..) {
            match event {
                Event::Answered(answered) => {
                    self.tally.answered(&answered);
                    if self.shared.root_is_lost.load(Ordering::Relaxed) && self.files.is_reached() {
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
