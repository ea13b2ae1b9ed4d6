//! A connection of the load generator.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process;
use std::time::Instant;

use rustix::net::RecvFlags;
use socket2::{Domain, Socket, Type};

use super::answers::{Answers, Next};
use super::{Outcome, PATIENCE, Plan};

pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) answers: Answers,
    dropped: bool,
    /// When what is not yet answered was asked.
    asked: VecDeque<Instant>,
}

/// What was done since the measured time began.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) answers: u64,
    pub(super) bytes: u64,
    pub(super) microseconds: Vec<u32>,
}

impl Connection {
    /// On loopback from an address and port of its own: the kernel's search for a free one, and ports that wait for the
    /// last packets of connections closed before, are the client's cost and not the server's.
    pub(super) fn open(plan: &Plan, nth: usize) -> io::Result<Connection> {
        let [_, _, high, low] = process::id().to_be_bytes();
        for nth in (nth * 2).. {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            if plan.to.ip().is_loopback() {
                let (address, port) = (1 + nth % 250, 10_000 + nth / 250 % 50_000);
                let from = Ipv4Addr::new(127, 1 + high % 100, low, address as u8);
                match socket.bind(&SocketAddrV4::new(from, port as u16).into()) {
                    Err(error) if error.kind() == ErrorKind::AddrInUse => continue,
                    bound => bound?,
                }
            }
            socket.set_tcp_nodelay(true)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            socket.connect(&plan.to.into())?;
            return Ok(Connection {
                socket,
                answers: Answers::new(plan.form, plan.size),
                dropped: plan.dropped,
                asked: VecDeque::new(),
            });
        }
        unreachable!("the numbers do not end")
    }

    pub(super) fn ask(&mut self, plan: &Plan, times: usize) -> Outcome<()> {
        let now = Instant::now();
        self.asked.extend(std::iter::repeat_n(now, times));
        let requests = plan.requests(times);
        // A request is short, and only a few are on their way at a time: the kernel has room for them.
        if self.socket.send(&requests)? == requests.len() { Ok(()) } else { Err("the server takes no requests".into()) }
    }

    /// Whether a request is not yet answered.
    pub(super) fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Reads once. Returns how many answers ended.
    pub(super) fn read(&mut self, buffer: &mut [u8], tally: &mut Tally, body: &mut dyn FnMut(&[u8])) -> Outcome<usize> {
        let (mut ended, before) = (0, self.answers.body);
        let count = match self.answers.next {
            Next::Bytes(left) if self.dropped => {
                let length = buffer.len().min(usize::try_from(left)?);
                let (_, count) = rustix::net::recv(&self.socket, &mut buffer[..length], RecvFlags::TRUNC)?;
                ended += usize::from(count > 0 && self.answers.skip(count as u64)?);
                tally.bytes += count as u64;
                count
            }
            // Of an answer of which the rest is dropped, only what frames it.
            _ => {
                let length = if self.dropped { 64 } else { buffer.len() };
                let count = (&self.socket).read(&mut buffer[..length])?;
                let mut input = &buffer[..count];
                while !input.is_empty() {
                    let mut bytes = 0;
                    let (taken, end) = self.answers.take(input, &mut |part| {
                        bytes += part.len() as u64;
                        body(part);
                    })?;
                    (input, ended) = (&input[taken..], ended + usize::from(end));
                    tally.bytes += bytes;
                }
                count
            }
        };
        if count == 0 {
            return Err(format!("closed by the server, {before} bytes into an answer").into());
        }
        let now = Instant::now();
        for asked in self.asked.drain(..ended) {
            tally.microseconds.push(u32::try_from((now - asked).as_micros())?);
        }
        tally.answers += ended as u64;
        Ok(ended)
    }

    /// Asks, and waits for the answer.
    pub(super) fn exchange(&mut self, plan: &Plan, buffer: &mut [u8], tally: &mut Tally) -> Outcome<()> {
        self.ask(plan, 1)?;
        while self.read(buffer, tally, &mut |_| {})? == 0 {}
        Ok(())
    }
}
