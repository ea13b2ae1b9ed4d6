//! The commands, transcripts and tables of README.md and tests/README.md are accurate.

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use support::test_dir::nobody_group;
use support::{Daemon, Settings, TestDir, hftpd_with, put, run, run::hftpd, skipped};

const README: &str = include_str!("../README.md");

#[test]
fn netcat_session_matches_the_daemon() {
    let [start] = block("$ cargo run").lines().collect::<Vec<_>>()[..] else { panic!("one command starts it") };
    let arguments = start.strip_prefix("$ cargo run --release -- ").expect("cargo run");
    let session = Session::read(block("$ nc"));
    let dir = TestDir::new();
    for name in &session.listed {
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let bytes = std::fs::read(&original).unwrap_or_else(|error| panic!("the README lists {name}: {error}"));
        dir.file(name, &bytes);
    }
    let mut command = hftpd();
    command.args(arguments.split(' ')).args(["-a", "127.0.0.1:0"]).current_dir(dir.root());
    let daemon = Daemon::spawn(&dir, &mut command);

    let mut client = daemon.client();
    for (request, answer) in &session.exchanges {
        client.ask(format!("{request}\r\n"), crlf(answer));
    }
    assert_eq!(session.exchanges.last().map(|(request, _)| *request), Some("quit"), "the session has an end");

    // The same through the command, with the port of this daemon.
    let mut words = session.command.split(' ');
    let program = words.next().unwrap_or_default();
    let port = daemon.address(0).port().to_string();
    let words = words.map(|word| match word {
        "localhost" => "127.0.0.1",
        "19500" => &port,
        word => word,
    });
    let requests: String = session.exchanges.iter().map(|(request, _)| format!("{request}\n")).collect();
    let answers: String = session.exchanges.iter().flat_map(|(_, answer)| answer).map(|l| format!("{l}\r\n")).collect();
    let mut netcat = Command::new(program);
    netcat.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut netcat) = netcat.spawn() else { return skipped("there is no nc (Debian: netcat-openbsd)") };
    netcat.stdin.take().expect("a pipe").write_all(requests.as_bytes()).expect("nc reads");
    let output = netcat.wait_with_output().expect("nc ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && errors.contains("invalid option") {
        return skipped("this nc has no -C");
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), answers, "{errors}");
}

#[test]
fn line_that_ends_in_lf_is_100() {
    let dir = TestDir::new();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    client.ask("help\n", "100 BAD EOL\r\n");
    client.expect_close();
    assert!(README.contains("`100 BAD EOL`"));
}

#[test]
fn example_configuration_and_its_error_are_accurate() {
    let dir = TestDir::new();
    let example = block("root = ");
    let file = example.replace("/srv/hftp", &dir.root().to_string_lossy());
    assert_ne!(file, example, "the example's root");
    // As root the check requires that the user exists.
    put(&dir.config(), format!("user = \"nobody\"\ngroup = {:?}\n{file}", nobody_group()).as_bytes());
    run(&mut hftpd_with(&["check"], &dir.config())).expect_code(0);
    run(&mut hftpd_with(&["check", "--dump"], &dir.config())).expect_code(0).expect_says("base64-line = ");

    put(&dir.config(), file.replace("drain", "drian").as_bytes());
    let shown = block("$ hftpd check");
    let printed = run(&mut hftpd_with(&["check"], &dir.config())).expect_code(78).output();
    assert_eq!(printed.replace(&*dir.config().to_string_lossy(), "/etc/hftp.toml"), without_command(shown));
}

#[test]
fn reload_message_is_accurate() {
    let dir = TestDir::new();
    let settings = Settings::new(&dir).listen("fragments").listen("base64");
    let mut daemon = Daemon::start(&dir, &settings);
    let printed = daemon.reload(&settings.set("timeouts.drain", "\"10s\"")).expect_code(0).output();
    let printed = printed
        .replace(&*dir.root().to_string_lossy(), "/srv/hftp")
        .replace(&daemon.address(0).to_string(), "[::]:19500")
        .replace(&daemon.address(1).to_string(), "127.0.0.1:19501");
    assert_eq!(printed, without_command(block("$ hftpd reload")));
}

#[test]
fn status_lines_are_accurate() {
    let dir = TestDir::new();
    let settings = Settings::new(&dir);
    let mut daemon = Daemon::start(&dir, &settings);
    daemon.reload(&settings).expect_code(0);
    let printed = run(&mut hftpd_with(&["status"], &dir.config())).expect_code(0).stdout;
    for line in without_command(block("$ hftpd status")).lines() {
        let name = line.split_inclusive(": ").next().unwrap_or_default();
        assert!(printed.lines().any(|line| line.starts_with(name)), "no {name:?} in the status:\n{printed}");
    }
}

#[test]
fn client_commands_work_as_they_stand() {
    let dir = TestDir::new();
    dir.file("LICENSE", b"MIT License\n");
    dir.file("README.md", README.as_bytes());
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let address = daemon.address(0).to_string();
    let out = dir.create_dir("out", &[]);
    std::fs::create_dir(out.join("mirror")).expect("a directory");
    put(&out.join("mirror/extra"), b"");
    for line in block("$ hftp ls").lines() {
        let command = line.strip_prefix("$ hftp ").expect("a command of the client").replace("localhost", &address);
        let mut hftp = Command::new(env!("CARGO_BIN_EXE_hftp"));
        hftp.current_dir(&out).args(command.split(' ').map(|word| word.trim_matches('"')));
        let finished = run(&mut hftp).expect_code(0);
        assert_eq!(finished.stdout.contains("README.md"), command.starts_with("ls"), "{}", finished.output());
    }
    let names = |path: &Path| std::fs::read_dir(path).expect("a directory").count();
    assert_eq!((names(&out), names(&out.join("mirror"))), (2, 2));
    assert!(out.join("LICENSE").exists() && out.join("mirror/LICENSE").exists() && !out.join("mirror/extra").exists());
}

#[test]
fn exit_codes_are_those_of_the_program() {
    for (_, code, meaning) in hftpd::exit::Exit::TABLE {
        assert!(README.contains(&format!("\n| {code} | {meaning} |\n")), "{code} {meaning}");
    }
}

/// The text of a manual page.
fn manual(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man").join(page);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn manual_pages_list_settings_exit_codes_and_status_values() {
    let settings = manual("hftp.toml.5");
    for setting in hftpd::config::SETTINGS {
        let (_, key) = setting.split_name();
        assert!(settings.contains(&format!("Cm {key} ")), "hftp.toml(5) lacks {}", setting.name);
    }
    let daemon = manual("hftpd.8");
    for (_, code, meaning) in hftpd::exit::Exit::TABLE {
        assert!(daemon.contains(&format!("\n.It {code}\n{meaning}\n")), "hftpd(8) lacks {code} {meaning}");
    }
    let dir = TestDir::new();
    let settings = Settings::new(&dir);
    let mut hftpd = Daemon::start(&dir, &settings);
    hftpd.reload(&settings).expect_code(0);
    let items: Vec<&str> = daemon.lines().filter_map(|line| line.strip_prefix(".It Cm ")).collect();
    let lists = |name: &str| items.iter().any(|item| item.split([' ', ',']).any(|word| word == name));
    for (name, value) in hftpd.status().as_object().expect("an object") {
        // The members of an object are listed together as NAME.*, or each.
        let names = match value.as_object() {
            Some(members) if !lists(&format!("{name}.*")) => {
                members.keys().map(|key| format!("{name}.{key}")).collect()
            }
            Some(_) => vec![format!("{name}.*")],
            None => vec![name.clone()],
        };
        for name in names {
            assert!(lists(&name), "hftpd(8) lacks the status value {name}");
        }
    }
}

#[test]
fn commands_are_tested_and_links_exist() {
    let commands: Vec<&str> = README.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    let tested = [
        "cargo run ",
        "nc ",
        "hftpd check",
        "hftpd reload",
        "hftpd status",
        "hftp ls ",
        "hftp get ",
        "hftp sync ",
        "cargo test",
    ];
    for command in &commands {
        assert!(tested.iter().any(|tested| command.starts_with(tested)), "no test runs `{command}`");
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links = README.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    for (link, _) in links.filter(|(link, _)| !link.contains("://")) {
        assert!(top.join(link).exists(), "{link} is no file");
    }
    let ci = std::fs::read_to_string(top.join(".ci/run")).expect(".ci/run");
    assert!(commands.contains(&"cargo test") && ci.contains("cargo test"), ".ci/run runs the README's tests");
    let rust = format!("Rust {} or later", env!("CARGO_PKG_RUST_VERSION"));
    assert!(README.contains(&rust), "{rust:?} is what Cargo.toml says");
}

/// A session of the README.
struct Session<'a> {
    command: &'a str,
    /// Requests, each with the lines of its answer.
    exchanges: Vec<(&'a str, Vec<&'a str>)>,
    /// The names in the listing.
    listed: Vec<&'a str>,
}

impl Session<'_> {
    /// Separates requests and answers: hftp(7) defines the end of each answer.
    fn read(block: &str) -> Session<'_> {
        let mut lines = block.lines();
        let command = lines.next().and_then(|line| line.strip_prefix("$ ")).expect("a command");
        let (mut exchanges, mut listed) = (Vec::new(), Vec::new());
        while let Some(request) = lines.next() {
            let mut answer = vec![lines.next().expect("an answer")];
            let is_last: Option<fn(&str) -> bool> = match request.split(' ').next() {
                _ if answer != ["0 OK"] => None,
                Some("help" | "get_file_listing") => Some(str::is_empty),
                Some("get_metadata") => Some(|_| true),
                Some("get_slice") => Some(|line| line == "0 "),
                _ => None,
            };
            while let Some(is_last) = is_last {
                let line = lines.next().unwrap_or_else(|| panic!("the answer to {request:?} has no end"));
                answer.push(line);
                if is_last(line) {
                    break;
                }
            }
            if request == "get_file_listing" {
                listed = answer[1..answer.len() - 1].to_vec();
            }
            exchanges.push((request, answer));
        }
        Session { command, exchanges, listed }
    }
}

fn crlf(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

/// The code block with this beginning.
#[track_caller]
fn block(beginning: &str) -> &'static str {
    let blocks = README.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let mut found = blocks.map(|(_, block)| block).filter(|block| block.starts_with(beginning));
    found.next().unwrap_or_else(|| panic!("the README has no block that begins with {beginning:?}"))
}

/// The output of a command.
fn without_command(block: &str) -> String {
    block.split_once('\n').map(|(_, printed)| format!("{printed}\n")).unwrap_or_default()
}

#[test]
fn promises_name_existing_tests() {
    let section = include_str!("README.md").split("## Promises").nth(1).expect("the section");
    let rows = section.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut named = 0;
    for row in rows {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().expect("a last column");
        let mut program = "";
        for quoted in shown_by.split('`').skip(1).step_by(2) {
            let name = match quoted.split_once(": ") {
                Some((before, name)) => {
                    program = before;
                    name
                }
                None => quoted,
            };
            assert!(tests_of(program).iter().any(|test| test == name), "{program} has no test {name}: {row}");
            named += 1;
        }
    }
    assert!(named >= 50, "only {named} tests are named");
}

/// The names of the tests in `tests/<program>` or `tests/<program>.rs`.
fn tests_of(program: &str) -> Vec<String> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut found = Vec::new();
    let mut to_read = vec![tests.join(program), tests.join(format!("{program}.rs"))];
    while let Some(path) = to_read.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory");
            to_read.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|end| end == "rs") && path.exists() {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let after = text.split("#[test]\n").skip(1);
            let names = after.filter_map(|rest| rest.split_once("fn ")?.1.split_once('('));
            found.extend(names.map(|(name, _)| name.to_owned()));
        }
    }
    found
}
