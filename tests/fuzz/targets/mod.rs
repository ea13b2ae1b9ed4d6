//! Each target takes bytes and panics if a check fails.

pub(crate) mod answers;

use std::cell::OnceCell;

use hftpd::config;
use hftpd::wire::{NameCharset, Request, RequestReader, SliceRequest};

use crate::sim::model::Rules;
use crate::sim::model::request::{self as model, first_line, parse_request};
use crate::sim::rng::Rng;
use crate::sim::steps::run_connection;
use crate::sim::world::Store;

/// The seeds of [`requests`].
pub(crate) const REQUESTS: &[&[u8]] = &[
    b"\0\0get_slice a10 3 4 raw\r\nget_metadata a10\r\nhelp\r\nget_file_listing\r\nquit\r\n",
    b"\x01\x07get_metadata ~!@#$%^&*()\r\nqui\nt\r\n",
    b"\x02\x01 \t \r\n",
    b"\x04\x02get_slice a 99999999999999999999 007 RAW\r\r\nx\r\n",
];

/// Compares `RequestReader`, which gets a stream in pieces, with the model. The first byte sets the rules, the second the
/// pieces.
pub(crate) fn requests(input: &[u8]) {
    let [flags, cuts, stream @ ..] = input else { return };
    let limit = [512, 20, 300, 0, 272, 273, 100_000, 1][usize::from(flags >> 1 & 7)];
    let rules = Rules { printable: flags & 1 == 1, hidden: false, links: true, request_line: limit };
    let names = if rules.printable { NameCharset::Printable } else { NameCharset::Portable };
    let mut rng = Rng::seeded(u64::from(*cuts));
    let mut reader = RequestReader::new(names, limit as u64);
    let mut at = 0;
    while let Some((line, length)) = first_line(&stream[at..], limit) {
        let end = at + length;
        while at < end {
            // A piece may contain more than the line.
            let most = *rng.pick(&[1, 3, 50, 100_000]);
            let piece = &stream[at..stream.len().min(at + rng.between(1, most))];
            let (taken, ended) = reader.read(piece);
            assert!(taken > 0 && taken <= piece.len(), "{taken} of {} bytes were taken", piece.len());
            at += taken;
            assert_eq!(ended, at >= end, "at {at} of a line that ends at {end}");
        }
        assert_eq!(at, end, "more was taken than the line");
        let wanted = parse_request(line, &rules);
        let found = reader.request().map(of_reader).map_err(hftpd::wire::Code::number);
        assert_eq!(found, wanted.clone().map(cut_numbers), "{line:?}");
        if let Ok(request) = reader.request() {
            let mut written = Vec::new();
            request.write(&mut written).expect("memory takes every byte");
            let mut again = RequestReader::new(names, 512);
            assert_eq!(again.read(&written), (written.len(), true), "{request:?}");
            assert_eq!(again.request(), Ok(request), "what a client writes is what the server reads");
        }
        if let model::Line::Whole(line) = line {
            assert!(line.starts_with(reader.line()) && reader.line().len() == line.len().min(272));
        }
        if wanted.is_err_and(|code| code < 200) {
            return;
        }
        reader.reset(names, limit as u64);
    }
    let rest = stream[at..].to_vec();
    assert_eq!(reader.read(&rest), (rest.len(), false), "an incomplete line has ended");
}

fn of_reader(request: Request<'_>) -> model::Request<'_> {
    match request {
        Request::GetFileListing => model::Request::Listing,
        Request::GetMetadata { name } => model::Request::Metadata { name },
        Request::GetSlice { name, slice: SliceRequest { offset, size, raw } } => {
            model::Request::Slice { name, offset: u128::from(offset), size: u128::from(size), raw }
        }
        Request::Help => model::Request::Help,
        Request::Quit => model::Request::Quit,
    }
}

/// A number beyond 64 bits is equal to the largest.
fn cut_numbers(request: model::Request<'_>) -> model::Request<'_> {
    match request {
        model::Request::Slice { name, offset, size, raw } => {
            let cut = |number: u128| number.min(u128::from(u64::MAX));
            model::Request::Slice { name, offset: cut(offset), size: cut(size), raw }
        }
        other => other,
    }
}

/// The seeds of [`configuration`].
pub(crate) const CONFIGURATIONS: &[&[u8]] = &[
    include_bytes!("../../../etc/hftp.toml"),
    b"root = \"/srv\"\nport = 0\n",
    b"root = \"/\"\nworkers = 3\ncontrol = \"\"\n[[listen]]\naddress = \"[::]:1\"\nencoding = \"base64\"\n\
      base64-line = \"48 KiB\"\n[[listen]]\naddress = \"127.0.0.1:2\"\nencoding = \"plain\"\n[files]\n\
      names = \"printable\"\nsymlinks = \"never\"\nhidden = true\n[limits]\nconnections = 5\n\
      connections-per-address = 1\nrequest-line = 512\nrate-per-connection = \"1 MiB\"\nallow = [\"10.0.0.0/8\", \
      \"::1\"]\ndeny = [\"10.1.2.3\"]\n[timeouts]\nidle = \"1h30m\"\nrequest = \"500ms\"\nstall = \"1s\"\n\
      drain = \"0s\"\n[log]\ntarget = \"syslog\"\nfacility = \"local7\"\nlevel = \"trace\"\naccess = false\n",
];

/// Parses a configuration. A valid one is unchanged after `dump` and `parse`; an invalid one has diagnostics.
pub(crate) fn configuration(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match config::parse(&text) {
        Ok(config) => {
            let dump = config::dump(&config);
            match config::parse(&dump) {
                Ok(again) => assert_eq!(again, config, "a different configuration from\n{dump}"),
                Err(diagnostics) => panic!("the dump is not valid: {diagnostics}\n{dump}"),
            }
        }
        Err(diagnostics) => assert!(!diagnostics.to_string().is_empty(), "no diagnostic"),
    }
}

/// A run of the simulation with choices from the input.
pub(crate) fn schedule(input: &[u8]) {
    thread_local! {
        static STORE: OnceCell<Store> = const { OnceCell::new() };
    }
    STORE.with(|store| {
        run_connection(Rng::from_bytes(input), store.get_or_init(|| Store::new(None)));
    });
}
