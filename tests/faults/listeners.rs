//! Listeners that come and go.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Mutex;

use rustix::process::Signal;

use crate::expect_served;
use crate::process::{behind, freeze};
use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::settings::Settings;
use crate::support::site::Site;
use crate::support::{LONG, meanwhile, own_address};

/// A port of every address that nobody has, below those that the kernel hands out.
fn free_port() -> u16 {
    let first = 21_000 + u16::try_from(std::process::id() % 10_000).expect("less than 10,000");
    let is_free =
        |port: &u16| TcpListener::bind(("::", *port)).is_ok() || TcpListener::bind(("0.0.0.0", *port)).is_ok();
    (first..first + 1000).find(is_free).expect("a free port")
}

#[test]
fn listener_changes_between_wildcard_and_one_address() {
    let site = Site::of_the_examples();
    let port = free_port();
    let narrow = SocketAddr::from(([127, 0, 0, 1], port));
    let everywhere = if TcpListener::bind("[::]:0").is_ok() { "[::]" } else { "0.0.0.0" };
    let narrowed = Settings::new(&site).listen_on(narrow, "plain");
    let widened = Settings::new(&site).listen_on(format!("{everywhere}:{port}"), "fragments");
    let mut daemon = Daemon::start(&site, &narrowed);
    for _ in 0..2 {
        let mut before = Client::connect(narrow);
        before.ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n");
        daemon.reload(&widened).expect_code(0);
        Client::connect(narrow).ask("get_slice a10 3 4\r\n", "0 OK\r\n4 3456\r\n0 \r\n");
        Client::connect(([127, 0, 0, 2], port).into()).ask("get_slice a10 3 4\r\n", "0 OK\r\n4 3456\r\n0 \r\n");
        before.expect_alive();
        daemon.reload(&narrowed).expect_code(0);
        Client::connect(narrow).ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n");
        assert!(TcpStream::connect(("127.0.0.2", port)).is_err(), "it listens where it was told not to any more");
        before.expect_alive();
    }
}

#[test]
fn an_address_is_given_up_and_taken_back_at_once() {
    let site = Site::of_the_examples();
    let [first, second] = [own_address(), own_address()];
    let one = Settings::new(&site).listen_on(first, "fragments");
    let two = one.clone().listen_on(second, "plain");
    let mut daemon = Daemon::start(&site, &two);
    for _ in 0..3 {
        daemon.reload(&one).expect_code(0);
        daemon.reload(&two).expect_code(0);
        Client::connect(second).ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n");
    }
}

#[test]
fn removing_a_listener_serves_its_queue() {
    let site = Site::of_the_examples();
    let one = Settings::new(&site).listen_on(own_address(), "fragments");
    let goes = own_address();
    let mut daemon = Daemon::start(&site, &one.clone().listen_on(goes, "plain"));
    one.write(&site.config());
    freeze(&daemon);
    let mut waiting: Vec<Client> = (0..300).map(|_| Client::connect(goes)).collect();
    daemon.signal(Signal::HUP);
    daemon.signal(Signal::CONT);
    waiting.iter_mut().for_each(|client| client.ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n"));
    daemon.hang_up();
    assert_eq!(TcpStream::connect(goes).map_err(|error| error.kind()).err(), Some(ErrorKind::ConnectionRefused));
    waiting.iter_mut().for_each(Client::expect_alive);
}

/// A client whose handshake ends between the last accept and the close is reset by the kernel. No client is left without an answer or an error.
#[test]
fn removing_a_busy_listener_leaves_no_client_waiting() {
    let site = Site::of_the_examples();
    let one = Settings::new(&site).listen_on(own_address(), "fragments").set("log.access", "false");
    let lost = Mutex::new(Vec::new());
    for _ in 0..3 {
        let goes = own_address();
        let mut daemon = Daemon::start(&site, &one.clone().listen_on(goes, "fragments"));
        let come_and_go = || match ask_for_help(goes) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => lost.lock().expect("no panic").push(error.to_string()),
            Ok(true) => {}
            Ok(false) => std::thread::sleep(std::time::Duration::from_millis(5)),
        };
        meanwhile(6, come_and_go, || {
            expect_served(&daemon);
            daemon.reload(&one).expect_code(0);
        });
        assert_eq!(daemon.stop(), Some(0));
    }
    let lost = lost.into_inner().expect("no panic");
    assert!(lost.is_empty(), "{} had connected and were not answered: {lost:?}", lost.len());
}

/// Whether it was answered; false if nobody listens any more.
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

/// The service manager listens as well, so the socket can never be bound anew.
#[test]
fn inherited_socket_is_released_and_adopted_again() {
    let site = Site::of_the_examples();
    let given = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = given.local_addr().expect("its address");
    let one = Settings::new(&site).listen_on(own_address(), "fragments");
    let two = one.clone().listen_on(address, "plain");
    two.write(&site.config());
    rustix::io::fcntl_setfd(&given, rustix::io::FdFlags::empty()).expect("FD_CLOEXEC");
    let script = format!(
        "exec 3<&{}; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=hftpd.socket; exec \"$@\"",
        given.as_raw_fd()
    );
    let wrapper = ["bash", "-c", &script, "bash"];
    let mut daemon = Daemon::spawn(&site, &mut behind(&wrapper, &site.config()));
    for _ in 0..2 {
        Client::connect(address).ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n");
        daemon.reload(&one).expect_code(0);
        // It waits in the queue of the socket, which is the service manager's.
        let mut early = Client::connect(address);
        early.send("get_slice a10 3 4\r\n");
        daemon.reload(&two).expect_code(0);
        early.expect("0 OK\r\n3456\r\n");
    }
    assert_eq!(daemon.stop(), Some(0));
    let mut daemon = Daemon::spawn(&site, &mut behind(&wrapper, &site.config()));
    Client::connect(address).ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n");
    assert_eq!(daemon.stop(), Some(0));
}
