//! Listeners that reloads add, remove and change.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Mutex;

use rustix::process::Signal;

use crate::expect_served;
use crate::process::{executed_by, freeze};
use crate::support::{Client, Daemon, LONG, Settings, TestDir, eventually_refused, meanwhile, own_address};

/// A port that is free on every address, below the range from which the kernel assigns ports.
fn free_port() -> u16 {
    let first = 21_000 + u16::try_from(std::process::id() % 10_000).expect("less than 10,000");
    let is_free =
        |port: &u16| TcpListener::bind(("::", *port)).is_ok() || TcpListener::bind(("0.0.0.0", *port)).is_ok();
    (first..first + 1000).find(is_free).expect("a free port")
}

#[test]
fn listener_changes_between_wildcard_and_one_address() {
    let dir = TestDir::of_the_examples();
    let port = free_port();
    let narrow = SocketAddr::from(([127, 0, 0, 1], port));
    let everywhere = if TcpListener::bind("[::]:0").is_ok() { "[::]" } else { "0.0.0.0" };
    let narrowed = Settings::new(&dir).listen_on(narrow, "plain");
    let widened = Settings::new(&dir).listen_on(format!("{everywhere}:{port}"), "fragments");
    let mut daemon = Daemon::start(&dir, &narrowed);
    for _ in 0..2 {
        let mut before = Client::connect(narrow);
        before.ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n");
        daemon.reload(&widened).expect_code(0);
        Client::connect(narrow).ask("get_slice a10 3 4\r\n", "0 OK\r\n4 3456\r\n0 \r\n");
        Client::connect(([127, 0, 0, 2], port).into()).ask("get_slice a10 3 4\r\n", "0 OK\r\n4 3456\r\n0 \r\n");
        before.expect_alive();
        daemon.reload(&narrowed).expect_code(0);
        Client::connect(narrow).ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n");
        assert!(TcpStream::connect(("127.0.0.2", port)).is_err(), "it still listens on the wildcard address");
        before.expect_alive();
    }
}

#[test]
fn removing_a_listener_serves_its_queue() {
    let dir = TestDir::of_the_examples();
    let one = Settings::new(&dir).listen_on(own_address(), "fragments");
    let removed = own_address();
    let mut daemon = Daemon::start(&dir, &one.clone().listen_on(removed, "plain"));
    one.write(&dir.config());
    freeze(&daemon);
    let mut waiting: Vec<Client> = (0..300).map(|_| Client::connect(removed)).collect();
    daemon.signal(Signal::HUP);
    daemon.signal(Signal::CONT);
    waiting.iter_mut().for_each(|client| client.ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n"));
    daemon.hang_up();
    eventually_refused(removed);
    waiting.iter_mut().for_each(Client::expect_alive);
}

/// The kernel resets a client whose handshake ends between the last accept and the close. No client is left without an
/// answer or an error.
#[test]
fn removing_a_busy_listener_leaves_no_client_waiting() {
    let dir = TestDir::of_the_examples();
    let one = Settings::new(&dir).listen_on(own_address(), "fragments").set("log.access", "false");
    let lost = Mutex::new(Vec::new());
    for _ in 0..3 {
        let removed = own_address();
        let mut daemon = Daemon::start(&dir, &one.clone().listen_on(removed, "fragments"));
        let ask = || match ask_for_help(removed) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => lost.lock().expect("no panic").push(error.to_string()),
            Ok(true) => {}
            Ok(false) => std::thread::sleep(std::time::Duration::from_millis(5)),
        };
        meanwhile(6, ask, || {
            expect_served(&daemon);
            daemon.reload(&one).expect_code(0);
        });
        assert_eq!(daemon.stop(), Some(0));
    }
    let lost = lost.into_inner().expect("no panic");
    assert!(lost.is_empty(), "{} accepted connections were not answered: {lost:?}", lost.len());
}

/// Sends a request and reads the begin of the answer; false if the connection is refused.
fn ask_for_help(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = match TcpStream::connect_timeout(&address, LONG) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(false),
        stream => stream?,
    };
    stream.set_read_timeout(Some(LONG))?;
    stream.write_all(b"help\r\n")?;
    stream.read_exact(&mut [0; 6])?;
    Ok(true)
}

/// The service manager keeps the socket, so the daemon can never bind the address again.
#[test]
fn inherited_socket_is_released_and_adopted_again() {
    let dir = TestDir::of_the_examples();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = socket.local_addr().expect("its address");
    let one = Settings::new(&dir).listen_on(own_address(), "fragments");
    let two = one.clone().listen_on(address, "plain");
    two.write(&dir.config());
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty()).expect("FD_CLOEXEC");
    let script = format!(
        "exec 3<&{}; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=hftpd.socket; exec \"$@\"",
        socket.as_raw_fd()
    );
    let wrapper = ["bash", "-c", &script, "bash"];
    let mut daemon = Daemon::spawn(&dir, &mut executed_by(&wrapper, &dir.config()));
    for _ in 0..2 {
        Client::connect(address).ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n");
        daemon.reload(&one).expect_code(0);
        // The connection waits in the queue of the socket.
        let mut queued = Client::connect(address);
        queued.send("get_slice a10 3 4\r\n");
        daemon.reload(&two).expect_code(0);
        queued.expect("0 OK\r\n3456\r\n");
    }
    assert_eq!(daemon.stop(), Some(0));
    let mut daemon = Daemon::spawn(&dir, &mut executed_by(&wrapper, &dir.config()));
    Client::connect(address).ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n");
    assert_eq!(daemon.stop(), Some(0));
}

/// A failed reload must not have listened anywhere: a connection that a listener has taken is reset when it is closed.
#[test]
fn failed_reload_resets_no_client() {
    let dir = TestDir::of_the_examples();
    let port = free_port();
    let narrow = SocketAddr::from(([127, 0, 0, 1], port));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let everywhere = Settings::new(&dir).listen_on(format!("0.0.0.0:{port}"), "fragments").set("log.access", "false");
    let mut daemon = Daemon::start(&dir, &everywhere);
    let failing = (Settings::new(&dir).listen_on(narrow, "fragments"))
        .listen_on(taken.local_addr().expect("an address"), "fragments")
        .set("log.access", "false");
    let lost = Mutex::new(Vec::new());
    let ask = || {
        if let Err(error) = ask_for_help(narrow) {
            lost.lock().expect("no panic").push(error.to_string());
        }
    };
    meanwhile(4, ask, || {
        for _ in 0..100 {
            daemon.reload(&failing).expect_code(71);
        }
    });
    let lost = lost.into_inner().expect("no panic");
    assert!(lost.is_empty(), "{} clients: {}", lost.len(), lost[0]);
}
