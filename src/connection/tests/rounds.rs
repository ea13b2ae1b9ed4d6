//! What is done in one round, and when a connection ends.

use std::fs;
use std::time::Duration;

use super::world::{Client, Root, Stream};
use crate::connection::{Cause, CloseReason, Phase, Task};

/// Input is read 1,024 bytes at a time.
#[test]
fn input_after_the_last_answer_is_discarded_up_to_the_budget() {
    let root = Root::new();
    for (budget, expected) in [(0, 0), (1, 1024), (1024, 1024), (1025, 2048), (3072, 3072), (8192, 8192)] {
        let mut client = Client::new(&root, Stream::of([b'x'; 10_240]));
        let discarded = client.with_budget(budget, |connection, cx| connection.discard_input(CloseReason::Quit, cx));
        assert_eq!((discarded, client.stream.read), (expected, expected), "with a budget of {budget}");
    }
}

/// A request costs the bytes of its line and 512 more.
#[test]
fn requests_are_answered_until_the_budget_is_spent_and_the_rest_in_later_rounds() {
    let root = Root::new();
    for (budget, expected) in [(0, 0), (1, 1), (518, 1), (519, 2), (5180, 10), (5181, 11)] {
        let mut client = Client::new(&root, Stream::of("help\r\n".repeat(100)));
        client.drive(Cause::Ready, budget);
        assert_eq!(client.answered, expected, "with a budget of {budget}");
        assert!(client.connection.is_ready(&client.stream), "it has more to answer");
        for _ in expected..100 {
            client.drive(Cause::Ready, 1);
        }
        assert_eq!(client.answered, 100);
        assert!(!client.connection.is_ready(&client.stream));
    }
}

#[test]
fn a_listing_is_sent_in_rounds_of_the_budget_and_of_at_least_96_kib() {
    let root = Root::new();
    for number in 0..1000 {
        fs::write(root.dir.path().join(format!("{}{number:04}", "n".repeat(196))), "").expect("a file");
    }
    let total = "0 OK\r\n".len() + 1000 * 202 + "\r\n".len();
    for (budget, first) in [(1, 98_304), (98_304, 98_304), (150_000, 150_000), (1_000_000, total)] {
        let mut client = Client::new(&root, Stream::of("get_file_listing\r\n"));
        client.drive(Cause::Ready, 1000);
        let Some(Task::LookUp(job)) = client.task.take() else { panic!("the listing is not looked up") };
        client.drive(Cause::LookedUp(Some(job.run())), budget);
        assert_eq!(client.stream.written.len(), first, "with a budget of {budget}");
        while client.connection.phase() == Phase::Sending {
            let before = client.stream.written.len();
            client.drive(Cause::Ready, budget);
            assert!(client.stream.written.len() > before, "nothing more is sent");
        }
        assert_eq!((client.stream.written.len(), client.answered), (total, 1));
    }
}

#[test]
fn a_client_stalls_when_it_takes_nothing_whatever_the_poll_reports() {
    let root = Root::new();
    let mut client = Client::new(&root, Stream { room: 10, ..Stream::of("help\r\n") });
    let begin = client.now;
    let at = |seconds| begin + Duration::from_secs(seconds);
    client.stream.unsent = 10;
    client.drive(Cause::Ready, 1000);
    assert_eq!((client.stream.written.len(), client.deadline()), (10, Some(at(60))));
    for (second, unsent, deadline) in [(30, 10, 60), (50, 10, 60), (55, 4, 115), (100, 4, 115)] {
        (client.now, client.stream.unsent, client.stream.is_writable) = (at(second), unsent, true);
        client.drive(Cause::Ready, 1000);
        assert_eq!(client.deadline(), Some(at(deadline)), "after {second} s, with {unsent} bytes not acknowledged");
    }
    // Acknowledged, but not enough for the poll to report it.
    (client.now, client.stream.unsent) = (at(115), 3);
    client.drive(Cause::Deadline, 1000);
    assert_eq!((client.connection.closed(), client.deadline()), (None, Some(at(175))));
    client.now = at(175);
    client.drive(Cause::Deadline, 1000);
    assert_eq!(client.connection.closed(), Some(CloseReason::Stalled));
}

#[test]
fn a_disk_has_timed_out_when_a_thread_sends_nothing_until_the_deadline() {
    let root = Root::new();
    root.zeros(1 << 20);
    let mut client = Client::new(&root, Stream::of("get_slice zeros 0 1048576\r\n"));
    let begin = client.now;
    let at = |seconds| begin + Duration::from_secs(seconds);
    client.drive(Cause::Ready, 1000);
    let Some(Task::LookUp(job)) = client.task.take() else { panic!("the file is not looked up") };
    client.drive(Cause::LookedUp(Some(job.run())), 1000);
    assert!(matches!(client.task, Some(Task::Send(_))), "a thread is to send it");
    assert_eq!(client.deadline(), Some(at(60)));
    for (second, sent) in [(60, 1), (120, 2), (200, 1_000_000)] {
        (client.now, client.stream.sent_by_thread) = (at(second), sent);
        client.drive(Cause::Deadline, 1000);
        assert_eq!((client.connection.closed(), client.deadline()), (None, Some(at(second + 60))), "{sent} bytes");
    }
    client.now = at(260);
    client.drive(Cause::Deadline, 1000);
    assert_eq!(client.connection.closed(), Some(CloseReason::DiskTimeout));
}

/// To close a connection of which something is unread would reset it.
#[test]
fn a_drain_closes_an_idle_connection_at_once_unless_it_has_sent_more() {
    let root = Root::new();
    for (unread, closed, phase) in [
        ("", Some(CloseReason::Drained), Phase::Closed),
        ("h", None, Phase::Lingering),
        ("help\r\n", None, Phase::Lingering),
    ] {
        let mut client = Client::new(&root, Stream::of("help\r\n"));
        client.drive(Cause::Ready, 10_000);
        client.stream.input.extend_from_slice(unread.as_bytes());
        client.is_draining = true;
        client.drive(Cause::Drain, 10_000);
        let outcome = (client.connection.closed(), client.connection.phase(), client.answered);
        assert_eq!(outcome, (closed, phase, 1), "with {unread:?} unread");
        assert_eq!(client.stream.read, client.stream.input.len(), "{unread:?} was not read");
        if phase == Phase::Lingering {
            assert_eq!(client.deadline(), Some(client.now + Duration::from_secs(2)));
            client.now += Duration::from_secs(2);
            client.drive(Cause::Deadline, 10_000);
            assert_eq!(client.connection.closed(), Some(CloseReason::Drained), "with {unread:?} unread");
        }
    }
}

#[test]
fn a_new_connection_has_half_a_second_for_one_request_in_a_drain() {
    let root = Root::new();
    for input in ["", "help\r\n"] {
        let mut client = Client::new(&root, Stream::of(""));
        client.is_draining = true;
        client.drive(Cause::Drain, 10_000);
        assert_eq!(client.deadline(), Some(client.now + Duration::from_millis(500)), "for its first request");
        client.stream.input.extend_from_slice(input.as_bytes());
        let cause = if input.is_empty() { Cause::Deadline } else { Cause::Ready };
        client.drive(cause, 10_000);
        assert_eq!(client.answered, usize::from(!input.is_empty()), "{input:?}");
        assert_eq!(client.connection.phase(), Phase::Lingering, "{input:?}");
    }
}
