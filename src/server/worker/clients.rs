//! What an event loop does for one client.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use mio::{Interest, Token};

use super::{Cause, ROUND, Worker};
use crate::connection::{Answered, CloseReason, Context, Event};
use crate::handle::Fault;
use crate::log::{self, Access, Escaped};
use crate::server::Reply;
use crate::server::client::Client;

impl Worker {
    /// Puts a client into the poll and into the queue.
    pub(in crate::server) fn insert(&mut self, mut client: Client) {
        let token = self.clients.next_token();
        let both = Interest::READABLE | Interest::WRITABLE;
        client.queued = true;
        let registered = self.poll.registry().register(&mut client.socket.stream, token, both);
        self.clients.insert(client);
        if let Err(error) = registered {
            ::log::error!("cannot wait for a client: {error}");
            self.remove(token, CloseReason::Reset);
        } else {
            self.queue.push(token);
        }
    }

    pub(super) fn remove(&mut self, token: Token, reason: CloseReason) {
        let Some(mut client) = self.clients.remove(token) else { return };
        let _ = self.poll.registry().deregister(&mut client.socket.stream);
        if let Some(wanted) = client.wanted {
            wanted.store(false, Ordering::Relaxed);
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
        let Some(client) = self.clients.get_mut(token) else { return };
        let mut cx = Context {
            transport: &mut client.socket,
            files: &mut self.files,
            settings: &self.settings,
            now,
            draining: self.draining,
            record: log::access_enabled(),
            scratch: &mut self.scratch,
            events: &mut self.happened,
            job: None,
            budget: ROUND,
        };
        let connection = &mut client.connection;
        let goes_on = !matches!(cause, Cause::Received);
        match cause {
            Cause::Received => connection.receive(&mut cx),
            Cause::Ready => client.queued = false,
            Cause::Deadline => connection.handle_deadline(&mut cx),
            Cause::Disk(Some(done)) => connection.handle_disk(done, &mut cx),
            Cause::Disk(None) => connection.handle_no_disk(&mut cx),
            Cause::Drain => {
                cx.transport.look_again();
                connection.handle_drain(&mut cx);
            }
            Cause::Reset => connection.handle_reset(&mut cx),
            Cause::Cut => connection.handle_abort(CloseReason::Cut, &mut cx),
        }
        while goes_on && cx.budget > 0 && cx.job.is_none() {
            let events = connection.events();
            if events.run || (events.read && cx.transport.is_readable()) {
                connection.handle_input(&mut cx);
            } else if events.write && cx.transport.is_writable() {
                connection.handle_output(&mut cx);
            } else {
                break;
            }
        }
        let (job, gone) = (cx.job, connection.to_remove());
        if let Some(job) = job {
            let wanted = Arc::new(AtomicBool::new(true));
            client.wanted = Some(wanted.clone());
            let policy = Some(self.policy.clone());
            let reply = Reply { worker: self.mailbox.clone(), token, policy, wanted, sent: false };
            self.shared.pool.submit(job, reply);
        }
        if !self.happened.is_empty() {
            let peer = client.peer.address();
            self.tell(peer, now);
        }
        match gone {
            Some(reason) => self.remove(token, reason),
            None if goes_on => self.set_alarm(token),
            None => {}
        }
    }

    /// Puts a client that is not done into the queue again, and sees to its deadline.
    pub(super) fn set_alarm(&mut self, token: Token) {
        let Some(client) = self.clients.get_mut(token) else { return };
        if !client.queued && client.is_ready() {
            client.queued = true;
            self.queue.push(token);
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
