//! Drains: whole workers with connections, and the transfer of a client to a worker that stops.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use shuttle::thread;

use super::{Owner, RUNS, RUNS_WITH_CONNECTIONS, check};
use crate::config::{Config, Listener};
use crate::os::sockets;
use crate::server::listener;
use crate::server::mailbox::Mailbox;
use crate::server::messages::{SupervisorEvent, WorkerCommand};
use crate::server::shared::WorkerShared;
use crate::server::worker::{Worker, WorkerChannel};
use crate::server::worker_config::WorkerConfig;

/// Two workers drain. The first accepts clients and gives one to the second, which may have stopped by then.
#[test]
fn clients_that_connect_before_a_drain_are_answered() {
    let directory = tempfile::tempdir().expect("a directory");
    File::create(directory.path().join("file")).expect("a file");
    let listeners = vec![Listener::new((Ipv4Addr::LOCALHOST, 0).into())];
    let config = Config { root: directory.path().to_owned(), listeners, ..Config::default() };
    let (endpoints, _) = listener::bind_all(&config.listeners, &[], Vec::new()).expect("a socket");
    listener::listen(&endpoints, &[]).expect("a listener");
    check(RUNS_WITH_CONNECTIONS, move || {
        let clients = ["get_metadata file\r\n", "help\r\n"].map(|request| connect(endpoints[0].address, request));
        let channels = [0, 1].map(|_| WorkerChannel::new().expect("a poll"));
        let workers: Vec<_> = channels.iter().map(|channel| channel.mailbox.clone()).collect();
        let (supervisor, mut events) = Owner::new();
        let shared = Arc::new(WorkerShared::new(2));
        // It seems to have a client already, so it keeps one of these two.
        shared.loads[0].fetch_add(1, Ordering::Relaxed);
        let configs = WorkerConfig::for_all(&config, &endpoints, 2).expect("descriptors");
        for (id, (channel, mut config)) in channels.into_iter().zip(configs).enumerate() {
            config.listeners.truncate(1 - id);
            let worker = Worker::new(id, channel, workers.clone(), supervisor.clone(), shared.clone(), config);
            thread::spawn(move || worker.run());
        }
        workers.iter().for_each(|worker| worker.send(WorkerCommand::Drain));
        let mut stopped = 0;
        while stopped < 2 {
            stopped += events.receive().filter(|event| matches!(event, SupervisorEvent::WorkerStopped)).count();
        }
        for mut client in clients {
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("an answer");
            assert!(answer.starts_with("0 OK\r\n"), "{answer:?}");
        }
        let loads: Vec<_> = shared.loads.iter().map(|load| load.load(Ordering::Relaxed)).collect();
        assert_eq!((&loads[..], shared.admission.connected()), (&[1, 0][..], 0));
    });
}

/// A client that has sent its only request. The request has arrived, and with it the connection.
fn connect(address: SocketAddr, request: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).expect("a connection");
    client.write_all(request.as_bytes()).expect("a request");
    while sockets::unsent(&client) > 0 {
        std::thread::yield_now();
    }
    client.shutdown(Shutdown::Write).expect("a connection");
    client.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    client
}

/// A worker transfers a client to another that drains, by `give`, and serves it if it is returned.
fn give_during_a_drain(give: fn(&Mailbox<Option<&'static str>>, &'static str) -> Option<&'static str>) {
    check(RUNS, move || {
        let (mailbox, mut other) = Owner::<Option<&str>>::new();
        let worker = thread::spawn(move || {
            let (mut served, mut is_draining) = (0, false);
            while !(is_draining && other.inbox.close_if_empty()) {
                for message in other.receive() {
                    is_draining |= message.is_none();
                    served += usize::from(message.is_some());
                }
            }
            served
        });
        let supervisor = mailbox.clone();
        thread::spawn(move || supervisor.send(None));
        let kept = give(&mailbox, "client").into_iter().count();
        assert_eq!(kept + worker.join().expect("no panic"), 1, "a client is lost");
    });
}

#[test]
fn client_that_is_offered_is_served() {
    give_during_a_drain(|worker, client| worker.offer(Some(client)).err().flatten());
}

/// The transfer of an earlier version, which lost clients. The model must detect it.
#[test]
#[should_panic(expected = "a client is lost")]
fn client_that_is_sent_may_be_lost() {
    give_during_a_drain(|worker, client| {
        worker.send(Some(client));
        None
    });
}
