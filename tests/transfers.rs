//! Large and many files, in every encoding, to several clients at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use support::{
    ALL_ENCODINGS, Client, Daemon, Encoding, Settings, TestDir, content, content::hex, in_parallel, put, slice_request,
};

mod support;

/// Reads a slice and returns its SHA-256.
#[track_caller]
fn hash_of(client: &mut Client, encoding: Encoding, name: &str, offset: u64, size: u64) -> String {
    let mut hash = Sha256::new();
    let mut taken = 0;
    client.send(slice_request(encoding, name, offset, size));
    let outcome = client.answer(encoding, size, &mut |bytes| {
        hash.update(bytes);
        taken += bytes.len();
    });
    outcome
        .unwrap_or_else(|fault| panic!("{encoding:?}, {size} bytes of {name} from {offset}, after {taken}: {fault}"));
    hex(hash)
}

fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// Eight clients: each of the five forms at least once.
fn eight_clients() -> Vec<(usize, Encoding)> {
    ALL_ENCODINGS.iter().copied().cycle().take(8).collect()
}

#[test]
fn large_file_is_complete_in_every_encoding() {
    let large = std::env::var("HFTPD_TEST_LARGE").as_deref() == Ok("1");
    let size: u64 = if large { 1 << 30 } else { 64 << 20 };
    let dir = TestDir::new();
    let wanted = content::write(&dir.root().join("large"), 7, size + 1);
    let whole = content::write(&dir.root().join("whole"), 7, size);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    in_parallel(8, &eight_clients(), |&(listener, encoding)| {
        let mut client = daemon.client_of(listener);
        assert_eq!(client.size("large"), Ok(size + 1));
        assert_eq!(hash_of(&mut client, encoding, "large", 0, size + 1), wanted, "{encoding:?}");
        client.expect_alive();
    });
    // A slice of one file is equal to all of another.
    let mut client = daemon.client();
    assert_eq!(hash_of(&mut client, Encoding::Raw, "large", 0, size), whole);
}

/// Sizes from 0 to 70,000, and sizes around powers of two, where buffers end.
fn small_sizes() -> Vec<usize> {
    let edges = [1, 2, 3, 4, 1024, 1460, 4096, 8192, 16_384, 32_768, 36_864, 49_152, 65_536];
    let around = edges.iter().flat_map(|&edge| [edge - 1, edge, edge + 1]);
    let mut sizes: Vec<usize> = around.chain((0..).map(|index| index * 73)).take(999).collect();
    sizes.push(70_000);
    sizes
}

#[test]
fn thousand_small_files_are_complete_in_every_encoding() {
    let dir = TestDir::new();
    let files: Vec<_> = small_sizes()
        .into_iter()
        .enumerate()
        .map(|(index, size)| {
            let bytes = content::pattern(100 + index as u64, 0, size);
            let name = format!("file-{index:03}.bin");
            put(&dir.root().join(&name), &bytes);
            (name, size as u64, sha256(&bytes))
        })
        .collect();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    let names: Vec<&str> = files.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(daemon.client().listing(), names);
    let transfers = AtomicUsize::new(0);
    in_parallel(8, &eight_clients(), |&(listener, encoding)| {
        let mut client = daemon.client_of(listener);
        for (index, (name, size, wanted)) in files.iter().enumerate() {
            // Connections with one request and with many.
            if index % 100 == listener {
                client = daemon.client_of(listener);
            }
            assert_eq!(client.size(name), Ok(*size), "{name}");
            assert_eq!(&hash_of(&mut client, encoding, name, 0, *size), wanted, "{encoding:?}, all of {name}");
            transfers.fetch_add(1, Ordering::Relaxed);
        }
        client.expect_alive();
    });
    assert_eq!(transfers.into_inner(), 8 * files.len());
}

#[test]
fn one_byte_slices_make_up_the_file() {
    let dir = TestDir::new();
    let bytes = content::pattern(11, 0, 3000);
    dir.file("f", &bytes);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    in_parallel(5, &ALL_ENCODINGS, |&(listener, encoding)| {
        let mut client = daemon.client_of(listener);
        let requests: String = (0..3000).map(|offset| slice_request(encoding, "f", offset, 1)).collect();
        client.send(requests);
        for (offset, wanted) in bytes.iter().enumerate() {
            let mut got = Vec::new();
            let outcome = client.answer(encoding, 1, &mut |part| got.extend_from_slice(part));
            outcome.unwrap_or_else(|fault| panic!("{encoding:?} at {offset}: {fault}"));
            assert_eq!(got, [*wanted], "{encoding:?} at {offset}");
        }
        client.expect_alive();
    });
}
