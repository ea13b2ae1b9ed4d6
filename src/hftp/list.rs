//! `hftp ls` and `hftp stat`

use super::args::{Ls, Stat};
use super::context::Context;
use super::exit::{Exit, Failure};
use super::json::Json;
use super::remote::Remotes;

pub(super) fn ls(context: &Context, ls: &Ls) -> Result<(), Failure> {
    let mut remotes = Remotes::default();
    let (names, other) = remotes.matching(context, &ls.url)?;
    if names.is_empty() && other.is_empty() && !ls.url.path.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("{} matches no file", ls.url)));
    }
    if !other.is_empty() {
        let text = "no request can hold their names";
        context.report.note(&format!("{} of the listed files cannot be fetched: {text}", other.len()));
    }
    if !ls.long {
        let lines = names.iter().chain(&other).map(|name| {
            if context.report.is_json() { Json::new().text("name", name).line() } else { format!("{name}\n") }
        });
        context.report.print(&lines.collect::<String>());
        return Ok(());
    }
    let server = remotes.add(context, &ls.url.address);
    let list: Vec<&str> = names.iter().map(String::as_str).collect();
    let sizes = remotes.sizes(context, server, &list);
    let (mut out, mut total, mut count) = (String::new(), 0_u64, 0);
    for (name, size) in names.iter().zip(sizes) {
        match size {
            Ok(size) => {
                out += &line(context, name, size);
                total = total.saturating_add(size);
                count += 1;
            }
            Err(failure) => context.report.fail(failure.of(name)),
        }
    }
    if !context.report.is_json() {
        out += &format!("{total:>15} bytes in {count} files\n");
    }
    context.report.print(&out);
    Ok(())
}

pub(super) fn stat(context: &Context, stat: &Stat) -> Result<(), Failure> {
    let mut remotes = Remotes::default();
    for url in &stat.urls {
        let names = remotes.names(context, url)?;
        let server = remotes.add(context, &url.address);
        let list: Vec<&str> = names.iter().map(String::as_str).collect();
        for (name, size) in names.iter().zip(remotes.sizes(context, server, &list)) {
            match size {
                Ok(size) => context.report.print(&line(context, name, size)),
                Err(failure) => context.report.fail(failure.of(name)),
            }
        }
    }
    Ok(())
}

fn line(context: &Context, name: &str, size: u64) -> String {
    if context.report.is_json() {
        Json::new().text("name", name).number("size", size).line()
    } else {
        format!("{size:>15} {name}\n")
    }
}
