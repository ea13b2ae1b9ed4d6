//! Whether what was written is what the protocol says of what was read.

use std::sync::Arc;

use hftpd::connection::Answered;

use hftpd::wire::Encoding;

use super::model::answer::{Answer, Part};
use super::model::matching::Match;
use super::model::request::{Line, first_line, judge};
use super::wire::Wire;

/// Bytes of a line that are kept for the log at most: the longest command, a space and the longest name.
const KEPT: usize = 272;

/// Follows a connection's answers.
pub(crate) struct Oracle {
    encoding: Encoding,
    /// Where in the script the request begins whose answer is not known yet.
    at: usize,
    /// Answers that may be, of the requests that were answered or begun to be and whose bytes have not all come.
    open: Vec<Open>,
    /// How many answers came whole, and how many bytes of what was written they are.
    whole: usize,
    checked: usize,
    /// Requests that were told of.
    told: usize,
    /// Nothing is answered any more.
    over: bool,
    /// How much of the script had been read when the time was up for the request that was incomplete.
    timed_out: Option<usize>,
    /// The disk failed under this request.
    failed: Option<usize>,
    /// Of the answer under way not all bytes are right, for its file became shorter: it must never be complete.
    spoilt: bool,
    /// The answer is to no request, so nothing is told of it.
    refused: bool,
}

/// An answer that is under way, as far as it can be known.
struct Open {
    /// What it may be, by what was true while it was asked for and looked up.
    may_be: Vec<Match>,
    /// Where in the script the request begins.
    at: usize,
    told: Option<Told>,
}

/// What the connection said of an answer.
struct Told {
    code: u16,
    bytes: usize,
    complete: bool,
}

impl Oracle {
    pub(crate) fn new(encoding: Encoding) -> Oracle {
        Oracle {
            encoding,
            at: 0,
            open: Vec::new(),
            whole: 0,
            checked: 0,
            told: 0,
            over: false,
            timed_out: None,
            failed: None,
            spoilt: false,
            refused: false,
        }
    }

    /// Of a client that is told why it is not served, and nothing else.
    pub(crate) fn refused(line: &str) -> Oracle {
        let parts = vec![Part::Text(line.as_bytes().to_vec())];
        let answer = Answer { code: 199, parts, last: true, slice: None };
        let told = Some(Told { code: 199, bytes: line.len(), complete: true });
        let open = vec![Open { may_be: vec![Match::new(answer)], at: 0, told }];
        Oracle { open, told: 1, over: true, refused: true, ..Oracle::new(Encoding::Fragments) }
    }

    /// The deadline of an incomplete request has come.
    pub(crate) fn time_is_up(&mut self, wire: &Wire<'_>) {
        self.timed_out = Some(wire.read);
    }

    /// The disk fails under the request that is being looked up, which is the next to be told of.
    pub(crate) fn disk_fails(&mut self) {
        self.failed = Some(self.told);
    }

    /// Takes the next request from what was read and finds out what its answers may be; false where there is none.
    fn begin(&mut self, wire: &Wire<'_>) -> bool {
        if self.over {
            return false;
        }
        let stream = &wire.script[self.at..self.timed_out.unwrap_or(wire.read)];
        if stream.is_empty() {
            return false;
        }
        let era_of = |place: usize| wire.reads.iter().find(|(end, _)| place < *end).map_or(0, |&(_, era)| era);
        let eras = &wire.world.eras;
        let mut may_be: Vec<Match> = Vec::new();
        let mut used = 0;
        let mut seen = Vec::new();
        for grammar in &eras[era_of(self.at)..] {
            let Some((line, length)) = first_line(stream, grammar.rules.request_line) else { continue };
            used = used.max(length);
            let looked_up = &eras[era_of(self.at + length - 1)..];
            for tree in looked_up {
                for policy in looked_up {
                    let mark = (grammar.rules, policy.rules, tree.tree.as_ref().map(Arc::as_ptr));
                    if !seen.contains(&mark) {
                        seen.push(mark);
                        let request = judge(line, &grammar.rules);
                        let answer = Answer::to(request, &policy.rules, tree.tree.as_deref(), self.encoding);
                        may_be.push(Match::new(answer));
                    }
                }
            }
            if self.failed == Some(self.whole + self.open.len()) {
                may_be = vec![Match::new(Answer::code(199))];
            }
        }
        if may_be.is_empty() && self.timed_out.is_some() {
            used = stream.len();
            may_be.push(Match::new(Answer::code(101)));
        }
        let begun = !may_be.is_empty();
        if begun {
            self.open.push(Open { may_be, at: self.at, told: None });
            self.at += used;
        }
        begun
    }

    /// Checks what was written since the last time.
    pub(crate) fn check_written(&mut self, wire: &Wire<'_>) {
        while self.checked < wire.written.len() && !self.spoilt {
            self.close();
            let new = &wire.written[self.checked..];
            if self.open.is_empty() && !self.begin(wire) {
                panic!("written without a request: \"{}\"", new[..new.len().min(200)].escape_ascii());
            }
            let open = &mut self.open[0];
            let mut wrong = Vec::new();
            let mut count = 0;
            open.may_be.retain_mut(|candidate| match candidate.take(new) {
                Ok(taken) => {
                    count = count.max(taken);
                    true
                }
                Err(error) => {
                    wrong.push(error);
                    false
                }
            });
            if open.may_be.is_empty() && wire.zeros {
                self.spoilt = true;
                return;
            }
            assert!(!open.may_be.is_empty(), "answer {} is wrong: {}", self.whole, wrong.join("; or "));
            self.checked += count;
            assert!(count > 0, "answer {} was told of as broken off, or not at all, and more was written", self.whole);
        }
        self.close();
    }

    /// Forgets the answer that is under way if it has come whole and was told of. That of a raw slice may be told of
    /// later than its last byte is written.
    fn close(&mut self) {
        let Some(Open { may_be, told: Some(Told { code, bytes, complete: true }), .. }) = self.open.first() else {
            return;
        };
        let Some(found) = may_be.iter().find(|candidate| candidate.is_whole()) else { return };
        let wanted = (found.answer.code, found.taken);
        assert_eq!((*code, *bytes), wanted, "code and bytes told of answer {}", self.whole);
        self.whole += 1;
        self.over |= found.answer.last;
        self.open.remove(0);
    }

    /// Checks what is told of an answer. To be called for all that a call told, before what it wrote is checked.
    pub(crate) fn take_told(&mut self, answered: &Answered, wire: &Wire<'_>) {
        while self.whole + self.open.len() <= self.told {
            assert!(self.begin(wire), "{answered:?} is told of a request that was not made");
        }
        assert!(!(self.spoilt && answered.complete), "{answered:?} is told of an answer with wrong bytes");
        let broken = self.open.iter().any(|open| open.told.as_ref().is_some_and(|told| !told.complete));
        assert!(!broken, "{answered:?} is told after an answer that was broken off");
        let place = self.told - self.whole;
        let open = &mut self.open[place];
        let code = answered.code.number();
        let told = Told { code, bytes: usize::try_from(answered.bytes).expect("a size"), complete: answered.complete };
        let codes: Vec<u16> = open.may_be.iter().map(|candidate| candidate.answer.code).collect();
        assert!(
            self.spoilt || codes.contains(&code),
            "answer {} is told of with {code} and may have {codes:?}",
            self.told
        );
        open.may_be.retain(|candidate| candidate.answer.code == code);
        open.told = Some(told);
        self.told += 1;
        if open.may_be.iter().all(|candidate| candidate.answer.last) {
            self.over = true;
        }
        if let Some(request) = &answered.request {
            assert!(request.len() <= KEPT, "more of a request is kept than is needed");
            let asked = &wire.script[self.open[place].at..];
            assert!(asked.starts_with(request), "{} was not asked, or not then", request.escape_ascii());
        }
    }

    /// What was told of as complete was written to its last byte. To be called after [`Oracle::check_written`].
    pub(crate) fn check_told(&self) {
        for (place, open) in self.open.iter().enumerate().filter(|_| !self.refused) {
            if let Some(Told { code, bytes, complete: true }) = open.told {
                panic!(
                    "answer {} is told of as complete, with {code} and {bytes} bytes, and is not",
                    self.whole + place
                );
            }
        }
    }

    /// Bytes of the answer that is under way.
    pub(crate) fn partial(&self) -> usize {
        self.open.first().and_then(|open| open.may_be.first()).map_or(0, |candidate| candidate.taken)
    }

    /// What was begun and is not complete was told of, with as many bytes as came.
    pub(crate) fn check_broken_off(&self) {
        for (place, open) in self.open.iter().enumerate().filter(|_| !self.spoilt && !self.refused) {
            let came = if place == 0 { self.partial() } else { 0 };
            let told = open.told.as_ref().map_or(0, |told| told.bytes);
            assert_eq!(told, came, "bytes told of answer {}, which was broken off", self.whole + place);
        }
    }

    /// The name and the end of the slice that is under way.
    pub(crate) fn slices(&self) -> Vec<(Vec<u8>, usize)> {
        let answers = self.open.iter().flat_map(|open| &open.may_be);
        answers.filter_map(|candidate| candidate.answer.slice.clone()).collect()
    }

    /// All that was asked for was answered to the last byte.
    pub(crate) fn check_all_answered(&mut self, wire: &Wire<'_>) {
        assert!(self.open.is_empty(), "{} answers are missing, at answer {}", self.open.len(), self.whole);
        assert!(!self.begin(wire), "request {} was not answered", self.whole);
    }

    /// Whether the answer under way has wrong bytes in it, and must not be completed.
    pub(crate) fn is_spoilt(&self) -> bool {
        self.spoilt
    }

    /// How many requests were told of.
    pub(crate) fn told(&self) -> usize {
        self.told
    }

    /// Whether the last answer of the connection was given.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// No answer is told of that does not come, and none comes in part.
    pub(crate) fn check_boundary(&self) {
        assert!(self.open.is_empty(), "answer {} was begun and is not complete", self.whole);
    }

    /// Bytes that were read after the last request that was begun, if a whole line is among them. That of a request that
    /// `is_read` is not, though nothing of its answer has come.
    pub(crate) fn kept_unread(&self, wire: &Wire<'_>, is_read: bool) -> usize {
        let limit = wire.world.eras.iter().map(|era| era.rules.request_line).max().unwrap_or(0);
        let mut rest = &wire.script[self.at.min(wire.read)..wire.read];
        if is_read
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
