//! Servers of the generations before the argument `raw`.

use hftpd::wire::Encoding;

use crate::support::content::pattern;
use crate::support::stand_in::{AtRaw, Generation, StandIn};
use crate::{client, client_in, read};

const AT_RAW: [AtRaw; 6] = [
    AtRaw::Answers("201 INVALID ARGUMENTS FOR COMMAND\r\n"),
    AtRaw::Answers("101 BAD REQUEST\r\n"),
    AtRaw::Answers("199 INTERNAL SERVER ERROR\r\n"),
    AtRaw::Answers("200 NO SUCH COMMAND\r\n"),
    AtRaw::Ignores,
    AtRaw::Closes,
];

/// Files whose beginnings look like answers in other encodings.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![
        ("empty".to_owned(), Vec::new()),
        ("fragment".to_owned(), b"8 abcdefgh\r\n0 \r\n".to_vec()),
        ("base64".to_owned(), b"MzQ1Ng==\r\n".to_vec()),
        ("raw".to_owned(), b"Content-Length: 5\r\n\r\nabcde".to_vec()),
        ("one".to_owned(), b"\r".to_vec()),
    ];
    files.extend([1, 1000, 5 << 20].map(|size| (format!("f{size}"), pattern(size, 0, size as usize))));
    files
}

#[test]
fn every_generation_is_found_out_and_raw_is_asked_for_once() {
    for encoding in [Encoding::Fragments, Encoding::Plain, Encoding::Base64] {
        for at_raw in AT_RAW {
            // Whatever file comes first shows the encoding.
            for first in 0..files().len() {
                let server = StandIn::older(Generation { encoding, at_raw, files: files() });
                let mut client = client(server.address());
                let mut order = files();
                order.rotate_left(first);
                if first > 0 {
                    order.truncate(2);
                }
                for (name, bytes) in &order {
                    let what = format!("{encoding:?}, {at_raw:?}, {name}");
                    assert_eq!(client.size(name).expect(&what), bytes.len() as u64);
                    let received = read(&mut client, name, 0, bytes.len() as u64);
                    assert!(received.unwrap_or_else(|error| panic!("{what}: {error}")) == *bytes, "{what}");
                }
                assert_eq!(client.server().encoding(), Some(encoding), "{at_raw:?}");
                let raw = server.requests().into_iter().filter(|line| line.split(' ').count() == 5).count();
                // An empty file shows only whether the server sends fragments.
                let wanted = 1 + usize::from(first == 0 && encoding != Encoding::Fragments);
                assert_eq!(raw, wanted, "{encoding:?}, {at_raw:?}, first {first}: {:?}", server.requests());
            }
        }
    }
}

#[test]
fn listing_and_errors_of_older_servers() {
    let generation = Generation {
        encoding: Encoding::Plain,
        at_raw: AtRaw::Ignores,
        files: vec![("b".into(), vec![1]), ("a".into(), vec![2])],
    };
    let server = StandIn::older(generation);
    let mut client = client(server.address());
    assert_eq!(client.list().expect("a listing").iter().collect::<Vec<_>>(), [b"b", b"a"]);
    assert_eq!(client.slice("c", 0, 1).expect_err("absent").code(), Some(202));
    assert_eq!(client.slice("a", 1, 1).expect_err("beyond").code(), Some(203));
    assert_eq!(read(&mut client, "a", 0, 1).expect("its byte"), [2]);
}

#[test]
fn forced_encoding_is_not_found_out() {
    let files = vec![("a".to_owned(), b"bytes".to_vec())];
    let generation = Generation { encoding: Encoding::Plain, at_raw: AtRaw::Closes, files };
    let server = StandIn::older(generation);
    let mut client = client_in(server.address(), Encoding::Plain);
    assert_eq!(read(&mut client, "a", 1, 3).expect("three bytes"), b"yte");
    assert_eq!(server.requests(), ["get_slice a 1 3"]);
}
