//! In which pieces answers are sent.

use std::sync::Arc;
use std::time::Instant;

use super::world::{Root, Stream};
use crate::connection::CloseReason;
use crate::connection::answer::{Answer, Body, Head};
use crate::connection::output::{Output, SendBuffers, SendOutcome};
use crate::connection::slice::{Encoder, Slice};
use crate::handle::{OpenFile, Wait};
use crate::wire::{Code, Encoding};

/// A complete answer with a slice of `size` bytes from the beginning of `file`.
fn slice(file: &Arc<OpenFile>, size: u64, encoding: Encoding) -> Answer {
    let head = if encoding == Encoding::Raw { Head::Raw(size) } else { Head::Line(Code::Ok.line()) };
    let slice = Slice::new(file.clone(), 0, size, encoding.into(), Instant::now());
    Answer::new(Code::Ok, head, Body::Slice(slice), None)
}

fn metadata(size: u64) -> Answer {
    Answer::new(Code::Ok, Head::Size(size), Body::Nothing, None)
}

/// Sends answers as a thread does, to a client that has room for everything.
fn send(answers: impl IntoIterator<Item = Answer>, allowed: usize) -> (usize, SendOutcome, Stream) {
    let mut output = Output::default();
    answers.into_iter().for_each(|answer| output.push(answer));
    let mut buffers = SendBuffers { out: Default::default(), encoder: Encoder::new(Wait::Allowed) };
    let mut stream = Stream::of("");
    let (count, sent) = output.send(allowed, &mut buffers, &mut stream, &mut Vec::new());
    (count, sent, stream)
}

#[test]
fn a_thread_sends_2_mib_in_one_turn() {
    let file = Root::new().zeros(8 << 20);
    let (count, sent, stream) = send([slice(&file, 8 << 20, Encoding::Raw)], usize::MAX);
    let head = "0 OK\r\nContent-Length: 8388608\r\n\r\n";
    assert_eq!(stream.written, head.as_bytes());
    assert_eq!((stream.from_files, count, sent), (vec![(0, 2_097_152)], head.len() + 2_097_152, SendOutcome::Spent));
}

#[test]
fn what_is_made_in_memory_is_written_in_pieces_of_64_to_256_kib() {
    let file = Root::new().zeros(8 << 20);
    let (count, sent, stream) = send([slice(&file, 8 << 20, Encoding::Base64)], usize::MAX);
    let kib: Vec<usize> = stream.writes.iter().map(|(length, _)| length.div_ceil(1024)).collect();
    assert_eq!(kib, [64, 64, 128, 256, 256, 256, 256, 256, 256, 256, 256]);
    assert!((2_097_152..2_097_152 + 262_144).contains(&count), "{count}");
    assert_eq!(sent, SendOutcome::Spent);
}

#[test]
fn small_answers_share_a_write_and_none_is_cut_in_two() {
    let file = Root::new().zeros(30_000);
    let head = "0 OK\r\nContent-Length: 30000\r\n\r\n".len();
    let answers = || (0..4).map(|_| slice(&file, 30_000, Encoding::Raw));
    let (count, sent, stream) = send(answers(), usize::MAX);
    assert_eq!((stream.writes, sent), (vec![(3 * (head + 30_000), true), (head + 30_000, false)], SendOutcome::All));
    assert_eq!(count, 4 * (head + 30_000));
    let (count, sent, stream) = send(answers(), 1000);
    assert_eq!((stream.written.len(), count, sent), (1000, 1000, SendOutcome::Spent), "no more is allowed");
}

#[test]
fn segments_are_filled_unless_less_than_64_kib_are_allowed() {
    let file = Root::new().zeros(1 << 20);
    for (allowed, corks) in [(1000, &[][..]), (65_535, &[]), (65_536, &[true]), (usize::MAX, &[true, false])] {
        let (count, _, stream) = send([slice(&file, 1 << 20, Encoding::Raw)], allowed);
        assert_eq!(stream.corks, corks, "when {allowed} bytes are allowed, of which {count} were sent");
    }
    let (_, _, stream) = send([slice(&file, 32_768, Encoding::Raw)], usize::MAX);
    assert!(stream.corks.is_empty(), "a small answer: {:?}", stream.corks);
}

/// The kernel would send zeros in place of bytes that are cut off a file meanwhile.
#[test]
fn the_last_16_kib_of_a_slice_are_copied_and_the_kernel_sends_what_is_before() {
    let file = Root::new().zeros(1 << 20);
    for (size, from_file) in
        [(32_768, None), (32_769, Some((0, 16_385))), (65_536, Some((0, 49_152))), (1 << 20, Some((0, 1_032_192)))]
    {
        let head = format!("0 OK\r\nContent-Length: {size}\r\n\r\n");
        let (count, sent, stream) = send([slice(&file, size, Encoding::Raw)], usize::MAX);
        assert_eq!(stream.from_files, Vec::from_iter(from_file), "of a slice of {size} bytes");
        let by_kernel = from_file.map_or(0, |(_, length)| length);
        assert_eq!(stream.written.len() + by_kernel, head.len() + size as usize, "of a slice of {size} bytes");
        assert_eq!((count, sent), (head.len() + size as usize, SendOutcome::All));
    }
}

#[test]
fn an_event_loop_sends_slices_of_up_to_32_kib_from_memory_and_a_thread_larger_ones() {
    let root = Root::new();
    let small = root.zeros(65_536);
    // A file system that cannot tell what is in memory says so at the first read.
    let _ = small.read(0, &mut [0; 16], Wait::Never);
    let may_wait = !small.is_readable_nowait();
    for (size, is_for_thread) in [(0, false), (1, may_wait), (32_768, may_wait), (32_769, true), (65_536, true)] {
        assert_eq!(slice(&small, size, Encoding::Plain).is_for_thread(), is_for_thread, "{size} bytes");
    }
    assert!(!metadata(1 << 40).is_for_thread());
}

#[test]
fn answers_are_gathered_until_their_heads_and_bodies_fill_a_buffer() {
    let file = Root::new().zeros(100_000);
    let mut output = Output::default();
    let full_at = |output: &Output| (1..200_000).rev().find(|&limit| output.is_full(limit)).unwrap_or(0);
    assert_eq!(full_at(&output), 0);
    output.push(metadata(10));
    assert_eq!(full_at(&output), "0 OK\r\n10\r\n".len());
    output.push(metadata(1000));
    assert_eq!(full_at(&output), "0 OK\r\n10\r\n0 OK\r\n1000\r\n".len());
    output.push(slice(&file, 100, Encoding::Raw));
    assert_eq!(full_at(&output), "0 OK\r\n10\r\n0 OK\r\n1000\r\n0 OK\r\nContent-Length: 100\r\n\r\n".len() + 100);
    output.reset();
    output.push(slice(&file, 32_768, Encoding::Raw));
    assert!(!output.is_full(65_536) && output.is_small());
    output.push(slice(&file, 32_769, Encoding::Raw));
    assert!(output.is_full(usize::MAX) && !output.is_small(), "a large answer is the last of its batch");
    output.reset();
    let mut last = metadata(10);
    last.close_after = Some(CloseReason::Quit);
    output.push(last);
    assert!(output.is_full(usize::MAX), "nothing follows the last answer of a connection");
}

/// The client takes everything at once, so its fragments become longer after each MiB.
#[test]
fn fragments_grow_while_the_kernel_sends_them() {
    let file = Root::new().zeros(8 << 20);
    let now = Instant::now();
    let mut answer = slice(&file, 8 << 20, Encoding::Fragments);
    let mut encoder = Encoder::new(Wait::Allowed);
    let mut out = Default::default();
    let mut lengths: Vec<usize> = Vec::new();
    loop {
        if let Some(length) = answer.for_kernel().map(|(_, _, length)| length) {
            answer.sent_by_kernel(length, now);
            continue;
        }
        answer.append_next(64 * 1024, &mut out, &mut encoder).expect("the bytes of the file");
        let text = String::from_utf8_lossy(out.bytes()).into_owned();
        lengths.extend(text.split([' ', '\r', '\n']).filter_map(|word| word.parse::<usize>().ok()));
        let count = out.len() as u64;
        out.clear();
        if answer.advance(count).is_some() {
            break;
        }
    }
    let expected = [&[0][..], &[65_536; 16], &[131_072; 8], &[262_144; 4], &[524_288; 2], &[1_048_576; 4], &[0]];
    assert_eq!(lengths, expected.concat());
}
