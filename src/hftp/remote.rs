//! The files that URLs stand for.

use crate::client::{Address, Client, Glob, Listing, Server, Url, printable};
use crate::wire::NameCharset;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::pipeline::pipeline;
use super::retry::Retry;

/// The servers of a command, each with the connection that requests one by one use.
#[derive(Default)]
pub(super) struct Remotes {
    clients: Vec<Client>,
}

/// A file that a URL stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    /// The places in [`Remotes`] of the servers that have it.
    pub(super) servers: Vec<usize>,
}

impl Remotes {
    pub(super) fn client(&mut self, server: usize) -> &mut Client {
        &mut self.clients[server]
    }

    pub(super) fn server(&self, server: usize) -> &Server {
        self.clients[server].server()
    }

    /// The place of a server; the same address is the same server.
    pub(super) fn add(&mut self, context: &Context, address: &Address) -> usize {
        let known = self.clients.iter().position(|client| client.server().address() == address);
        known.unwrap_or_else(|| {
            self.clients.push(Client::new(&context.server(address)));
            self.clients.len() - 1
        })
    }

    /// The files of several URLs, in their order. A name that several URLs stand for is one file, on several servers.
    pub(super) fn find(&mut self, context: &Context, urls: &[Url]) -> Result<Vec<Found>, Failure> {
        let mut found: Vec<Found> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for url in urls {
            let server = self.add(context, &url.address);
            for name in self.names(context, url)? {
                let place = *places.entry(name.clone()).or_insert_with(|| {
                    found.push(Found { name, servers: Vec::new() });
                    found.len() - 1
                });
                if !found[place].servers.contains(&server) {
                    found[place].servers.push(server);
                }
            }
        }
        Ok(found)
    }

    /// The names that a URL stands for, sorted; at least one. Names that cannot be asked for are reported.
    pub(super) fn names(&mut self, context: &Context, url: &Url) -> Result<Vec<String>, Failure> {
        let glob = Glob::new(&url.path);
        if let Some(name) = glob.name() {
            return Ok(vec![String::from_utf8_lossy(name).into_owned()]);
        }
        let (mut names, other) = self.matching(context, url)?;
        for name in other {
            let message = format!("{name}: not fetched: its name has bytes that no request can hold");
            context.report.fail(Failure::new(Exit::Protocol, message));
        }
        names.dedup();
        if names.is_empty() && !context.report.has_failed() {
            return Err(Failure::new(Exit::NotFound, format!("{url} matches no file")));
        }
        Ok(names)
    }

    /// The names that match, sorted, and those that no request can hold, as a terminal may show them.
    pub(super) fn matching(&mut self, context: &Context, url: &Url) -> Result<(Vec<String>, Vec<String>), Failure> {
        let server = self.add(context, &url.address);
        let glob = Glob::new(&url.path);
        let listing = self.list(context, server)?;
        let is_wanted = |name: &&[u8]| glob.matches(name) || *name == url.path.as_bytes();
        let (mut names, mut other) = (Vec::new(), Vec::new());
        for name in listing.iter().filter(is_wanted) {
            if NameCharset::Printable.allow_name(name) {
                names.push(printable(name));
            } else {
                other.push(printable(name));
            }
        }
        names.sort();
        Ok((names, other))
    }

    fn list(&mut self, context: &Context, server: usize) -> Result<Listing, Failure> {
        let mut retry = Retry::new(context.retries);
        Ok(retry.run(self.client(server), &context.report, Client::list)?)
    }

    /// The size of each file on this server.
    pub(super) fn sizes(&mut self, context: &Context, server: usize, names: &[&str]) -> Vec<Result<u64, Failure>> {
        pipeline(
            context,
            self.client(server),
            names,
            |client, name| client.queue_size(name),
            |client, _| client.next_size(),
        )
    }
}
