//! Compares the written bytes with the answers that the protocol defines for the bytes read.

use std::sync::Arc;

use hftpd::connection::Answered;

use hftpd::wire::{Encoding, Framing};

use super::model::answer::{Answer, Part};
use super::model::matching::Match;
use super::model::request::{Line, first_line, parse_request};
use super::socket::Socket;

/// The most bytes of a line that are kept for the log: the longest command, a space and the longest name.
const KEPT: usize = 272;

/// Follows a connection's answers.
pub(crate) struct Oracle {
    framing: Framing,
    /// The offset in the script of the next request.
    at: usize,
    /// Requests whose answers are not complete yet.
    open: Vec<Open>,
    /// The number of complete answers, and how many of the written bytes were checked.
    whole: usize,
    checked: usize,
    /// The number of answers that the connection reported.
    reported: usize,
    /// The last answer was given.
    over: bool,
    /// How much of the script had been read when the request timeout expired.
    timed_out: Option<usize>,
    /// The number of the request for which the disk failed.
    failed: Option<usize>,
    /// The current answer contains wrong bytes, because its file became shorter. It must not be completed.
    corrupt: bool,
    /// The connection was refused. Its answer belongs to no request and is not reported.
    refused: bool,
}

/// A request that is being answered.
struct Open {
    /// The possible answers, given the snapshots between request and look-up.
    candidates: Vec<Match>,
    /// The offset of the request in the script.
    at: usize,
    reported: Option<Reported>,
}

/// The connection's report of an answer.
struct Reported {
    code: u16,
    bytes: usize,
    complete: bool,
}

impl Oracle {
    pub(crate) fn new(framing: Framing) -> Oracle {
        Oracle {
            framing,
            at: 0,
            open: Vec::new(),
            whole: 0,
            checked: 0,
            reported: 0,
            over: false,
            timed_out: None,
            failed: None,
            corrupt: false,
            refused: false,
        }
    }

    /// For a client that is refused with this line.
    pub(crate) fn refused(line: &str) -> Oracle {
        let parts = vec![Part::Text(line.as_bytes().to_vec())];
        let answer = Answer { code: 199, parts, last: true, slice: None };
        let reported = Some(Reported { code: 199, bytes: line.len(), complete: true });
        let open = vec![Open { candidates: vec![Match::new(answer)], at: 0, reported }];
        Oracle { open, reported: 1, over: true, refused: true, ..Oracle::new(Encoding::Fragments.into()) }
    }

    /// The request timeout has expired.
    pub(crate) fn time_is_up(&mut self, socket: &Socket<'_>) {
        self.timed_out = Some(socket.read);
    }

    /// The disk fails for the request that is being looked up. It is the next to be reported.
    pub(crate) fn disk_fails(&mut self) {
        self.failed = Some(self.reported);
    }

    /// Takes the next request from the bytes read and computes its possible answers. Returns false if there is none.
    fn begin(&mut self, socket: &Socket<'_>) -> bool {
        if self.over {
            return false;
        }
        let stream = &socket.script[self.at..self.timed_out.unwrap_or(socket.read)];
        if stream.is_empty() {
            return false;
        }
        let snapshot_of =
            |place: usize| socket.reads.iter().find(|(end, _)| place < *end).map_or(0, |&(_, snapshot)| snapshot);
        let snapshots = &socket.world.snapshots;
        let mut candidates: Vec<Match> = Vec::new();
        let mut used = 0;
        let mut seen = Vec::new();
        for grammar in &snapshots[snapshot_of(self.at)..] {
            let Some((line, length)) = first_line(stream, grammar.rules.request_line) else { continue };
            used = used.max(length);
            let looked_up = &snapshots[snapshot_of(self.at + length - 1)..];
            for tree in looked_up {
                for policy in looked_up {
                    let mark = (grammar.rules, policy.rules, tree.tree.as_ref().map(Arc::as_ptr));
                    if !seen.contains(&mark) {
                        seen.push(mark);
                        let request = parse_request(line, &grammar.rules);
                        let answer = Answer::to(request, &policy.rules, tree.tree.as_deref(), self.framing);
                        candidates.push(Match::new(answer));
                    }
                }
            }
            if self.failed == Some(self.whole + self.open.len()) {
                candidates = vec![Match::new(Answer::code(199))];
            }
        }
        if candidates.is_empty() && self.timed_out.is_some() {
            used = stream.len();
            candidates.push(Match::new(Answer::code(101)));
        }
        let begun = !candidates.is_empty();
        if begun {
            self.open.push(Open { candidates, at: self.at, reported: None });
            self.at += used;
        }
        begun
    }

    /// Checks what was written since the last call.
    pub(crate) fn check_written(&mut self, socket: &Socket<'_>) {
        while self.checked < socket.written.len() && !self.corrupt {
            self.close();
            let new = &socket.written[self.checked..];
            if self.open.is_empty() && !self.begin(socket) {
                panic!("written without a request: \"{}\"", new[..new.len().min(200)].escape_ascii());
            }
            let open = &mut self.open[0];
            let mut wrong = Vec::new();
            let mut count = 0;
            open.candidates.retain_mut(|candidate| match candidate.take(new) {
                Ok(taken) => {
                    count = count.max(taken);
                    true
                }
                Err(error) => {
                    wrong.push(error);
                    false
                }
            });
            if open.candidates.is_empty() && socket.zeros {
                self.corrupt = true;
                return;
            }
            assert!(!open.candidates.is_empty(), "answer {} is wrong: {}", self.whole, wrong.join("; or "));
            self.checked += count;
            assert!(count > 0, "answer {} was reported as aborted, or not reported, and more was written", self.whole);
        }
        self.close();
    }

    /// Removes the current answer if it is complete and was reported. A raw slice may be reported after its last byte
    /// was written.
    fn close(&mut self) {
        let Some(Open { candidates, reported: Some(Reported { code, bytes, complete: true }), .. }) = self.open.first()
        else {
            return;
        };
        let Some(found) = candidates.iter().find(|candidate| candidate.is_whole()) else { return };
        let wanted = (found.answer.code, found.taken);
        assert_eq!((*code, *bytes), wanted, "code and bytes reported of answer {}", self.whole);
        self.whole += 1;
        self.over |= found.answer.last;
        self.open.remove(0);
    }

    /// Checks a report. To be called for all reports of a call, before [`Oracle::check_written`].
    pub(crate) fn take_report(&mut self, answered: &Answered, socket: &Socket<'_>) {
        while self.whole + self.open.len() <= self.reported {
            assert!(self.begin(socket), "{answered:?} reports a request that was not made");
        }
        assert!(!(self.corrupt && answered.complete), "{answered:?} reports an answer with wrong bytes as complete");
        let aborted = self.open.iter().any(|open| open.reported.as_ref().is_some_and(|reported| !reported.complete));
        assert!(!aborted, "{answered:?} follows an aborted answer");
        let place = self.reported - self.whole;
        let open = &mut self.open[place];
        let code = answered.code.number();
        let reported =
            Reported { code, bytes: usize::try_from(answered.bytes).expect("a size"), complete: answered.complete };
        let codes: Vec<u16> = open.candidates.iter().map(|candidate| candidate.answer.code).collect();
        assert!(
            self.corrupt || codes.contains(&code),
            "answer {} is reported with {code} and may have {codes:?}",
            self.reported
        );
        open.candidates.retain(|candidate| candidate.answer.code == code);
        open.reported = Some(reported);
        self.reported += 1;
        if open.candidates.iter().all(|candidate| candidate.answer.last) {
            self.over = true;
        }
        if let Some(request) = &answered.request {
            assert!(request.len() <= KEPT, "too much of the request is kept");
            let script = &socket.script[self.open[place].at..];
            assert!(script.starts_with(request), "{} is not the request", request.escape_ascii());
        }
    }

    /// Every answer that was reported as complete was written to its last byte.
    pub(crate) fn check_reported(&self) {
        for (place, open) in self.open.iter().enumerate().filter(|_| !self.refused) {
            if let Some(Reported { code, bytes, complete: true }) = open.reported {
                panic!(
                    "answer {} is reported as complete, with {code} and {bytes} bytes, and is not",
                    self.whole + place
                );
            }
        }
    }

    /// The number of written bytes of the current answer.
    pub(crate) fn partial(&self) -> usize {
        self.open.first().and_then(|open| open.candidates.first()).map_or(0, |candidate| candidate.taken)
    }

    /// Every incomplete answer was reported with the number of its written bytes.
    pub(crate) fn check_aborted(&self) {
        for (place, open) in self.open.iter().enumerate().filter(|_| !self.corrupt && !self.refused) {
            let written = if place == 0 { self.partial() } else { 0 };
            let reported = open.reported.as_ref().map_or(0, |reported| reported.bytes);
            assert_eq!(reported, written, "bytes reported of answer {}, which was aborted", self.whole + place);
        }
    }

    /// The names and ends of the slices that are being sent.
    pub(crate) fn slices(&self) -> Vec<(Vec<u8>, usize)> {
        let answers = self.open.iter().flat_map(|open| &open.candidates);
        answers.filter_map(|candidate| candidate.answer.slice.clone()).collect()
    }

    /// Every request was answered completely.
    pub(crate) fn check_all_answered(&mut self, socket: &Socket<'_>) {
        assert!(self.open.is_empty(), "{} answers are missing, at answer {}", self.open.len(), self.whole);
        assert!(!self.begin(socket), "request {} was not answered", self.whole);
    }

    /// Whether the current answer contains wrong bytes and must not be completed.
    pub(crate) fn is_corrupt(&self) -> bool {
        self.corrupt
    }

    /// The number of answers that were reported.
    pub(crate) fn reported(&self) -> usize {
        self.reported
    }

    /// Whether the last answer of the connection was given.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// No answer is incomplete.
    pub(crate) fn check_boundary(&self) {
        assert!(self.open.is_empty(), "answer {} is incomplete", self.whole);
    }

    /// The number of bytes that were read and not parsed, if they contain a complete line. With `is_parsed` the next
    /// request was parsed, though nothing of its answer was written.
    pub(crate) fn kept_unread(&self, socket: &Socket<'_>, is_parsed: bool) -> usize {
        let limit = socket.world.snapshots.iter().map(|snapshot| snapshot.rules.request_line).max().unwrap_or(0);
        let mut rest = &socket.script[self.at.min(socket.read)..socket.read];
        if is_parsed
            && self.open.is_empty()
            && let Some((_, length)) = first_line(rest, limit)
        {
            rest = &rest[length..];
        }
        match first_line(rest, limit) {
            Some((Line::Whole(_) | Line::BadEol | Line::TooLong, _)) => rest.len(),
            None => 0,
        }
    }
}
