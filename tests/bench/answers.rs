//! Follows the answers of an HTTP or an HFTP server, as they come.

use super::Outcome;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    Http,
    Head,
    Raw,
    Fragments,
    Base64,
    Metadata,
    Listing,
}

/// What comes next in an answer.
#[derive(Clone, Copy)]
pub(super) enum Next {
    Status,
    /// A line of the head.
    Head,
    /// The length of a fragment or a chunk, after the line end of the one before; or the number of metadata.
    Length,
    /// So many bytes of the body.
    Bytes(u64),
    /// The line end after everything.
    Last,
}

/// Follows answers, one after the other.
pub(super) struct Answers {
    form: Form,
    /// How long the body must be; learned from the first one if it is not known.
    pub(super) size: Option<u64>,
    pub(super) next: Next,
    line: Vec<u8>,
    /// What the head says of the body; none if it comes in chunks.
    length: Option<u64>,
    /// Bytes of this answer's body so far.
    pub(super) body: u64,
}

impl Answers {
    pub(super) fn new(form: Form, size: Option<u64>) -> Answers {
        Answers { form, size, next: Next::Status, line: Vec::new(), length: None, body: 0 }
    }

    /// Takes bytes up to the end of the answer. Returns how many, and whether that was the end.
    pub(super) fn take(&mut self, input: &[u8], body: &mut dyn FnMut(&[u8])) -> Outcome<(usize, bool)> {
        let mut at = 0;
        while at < input.len() {
            if let Next::Bytes(left) = self.next {
                let end = input.len().min(at.saturating_add(usize::try_from(left)?));
                body(&input[at..end]);
                let count = end - at;
                at = end;
                if self.skip(count as u64)? {
                    return Ok((at, true));
                }
                continue;
            }
            let byte = input[at];
            at += 1;
            self.line.push(byte);
            let length = matches!(self.next, Next::Length) && self.form == Form::Fragments;
            if byte == if length { b' ' } else { b'\n' } {
                let line = std::mem::take(&mut self.line);
                if self.line(std::str::from_utf8(&line)?.trim())? {
                    return Ok((at, true));
                }
            } else if self.line.len() > 1000 {
                return Err("a line without an end".into());
            }
        }
        Ok((at, false))
    }

    /// `count` bytes of the body have come. Returns whether that was the end.
    pub(super) fn skip(&mut self, count: u64) -> Outcome<bool> {
        self.body += count;
        let Next::Bytes(left) = &mut self.next else { return Err("bytes out of place".into()) };
        *left -= count;
        if *left > 0 {
            return Ok(false);
        }
        match self.form {
            Form::Base64 => self.next = Next::Last,
            Form::Fragments => self.next = Next::Length,
            Form::Http if self.length.is_none() => self.next = Next::Length,
            _ => return self.end(),
        }
        Ok(false)
    }

    fn line(&mut self, line: &str) -> Outcome<bool> {
        match (self.next, self.form) {
            (Next::Status, form) => {
                let http = matches!(form, Form::Http | Form::Head);
                if line != if http { "HTTP/1.1 200 OK" } else { "0 OK" } {
                    return Err(format!("the answer was {line:?}").into());
                }
                (self.body, self.length) = (0, None);
                self.next = match (form, self.size) {
                    (Form::Http | Form::Head | Form::Raw, _) => Next::Head,
                    (Form::Fragments | Form::Metadata, _) => Next::Length,
                    (Form::Base64, Some(0)) => Next::Last,
                    (Form::Base64 | Form::Listing, size) => Next::Bytes(size.ok_or("--size is missing")?),
                };
            }
            (Next::Head, form) if line.is_empty() => match self.length {
                Some(length) if form == Form::Head => {
                    self.body = length;
                    return self.end();
                }
                Some(0) => return self.end(),
                Some(length) => self.next = Next::Bytes(length),
                None => self.next = Next::Length,
            },
            (Next::Head, _) => {
                if let Some((name, value)) = line.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    self.length = Some(value.trim().parse()?);
                }
            }
            (Next::Length, Form::Metadata) => {
                self.body = line.parse()?;
                return self.end();
            }
            (Next::Length, Form::Http) if line.is_empty() => {}
            (Next::Length, form) => {
                let length = u64::from_str_radix(line, if form == Form::Http { 16 } else { 10 })?;
                self.next = if length > 0 { Next::Bytes(length) } else { Next::Last };
            }
            (Next::Last, _) if line.is_empty() => return self.end(),
            (Next::Last | Next::Bytes(_), _) => return Err("no line end where one must be".into()),
        }
        Ok(false)
    }

    fn end(&mut self) -> Outcome<bool> {
        self.next = Next::Status;
        let size = *self.size.get_or_insert(self.body);
        if self.body == size { Ok(true) } else { Err(format!("{} instead of {size} bytes", self.body).into()) }
    }
}
