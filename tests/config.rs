//! The configuration file: the shipped one, files with errors, and `--dump`.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hftpd::config::{
    self, Config, Diagnostics, Facility, Files, Limits, Listener, Log, LogTarget, SETTINGS, Timeouts, Workers, diff,
};
use hftpd::handle::Symlinks;
use hftpd::wire::{Encoding, NameCharset};

const SHIPPED: &str = include_str!("../etc/hftp.toml");

/// The shipped file with some lines changed.
fn shipped(change: impl Fn(&str) -> String) -> String {
    SHIPPED.lines().map(|line| change(line) + "\n").collect()
}

/// A setting or the header of a `[[listen]]` that is commented out. Prose has a space after its `#`.
fn commented(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
}

fn parse(text: &str) -> Config {
    config::parse(text).unwrap_or_else(|diagnostics| panic!("{diagnostics}\n{text}"))
}

fn refuse(text: &str) -> Diagnostics {
    match config::parse(text) {
        Ok(config) => panic!("accepted: {text}\n{config:?}"),
        Err(diagnostics) => diagnostics.named(Path::new("F")),
    }
}

#[test]
fn shipped_file_is_the_default() {
    assert_eq!(parse(SHIPPED), Config::default());
}

#[test]
fn commented_settings_of_the_shipped_file_are_the_defaults() {
    let mut section = String::new();
    let mut tried = 0;
    for (number, line) in SHIPPED.lines().enumerate() {
        if line.starts_with('[') || line == "#[[listen]]" {
            section = line.trim_matches(['#', '[', ']']).to_owned();
        }
        let Some(setting) = commented(line) else { continue };
        let in_listen = section == "listen";
        let mut at = 0;
        // A [[listen]] needs an address and excludes port.
        let text: String = SHIPPED
            .lines()
            .map(|other| {
                let here = at == number;
                at += 1;
                let listen = in_listen && (other == "#[[listen]]" || other.starts_with("#address"));
                match other {
                    _ if here => setting.to_owned() + "\n",
                    _ if listen => other[1..].to_owned() + "\n",
                    _ if in_listen && other.starts_with("port") => String::new(),
                    _ => other.to_owned() + "\n",
                }
            })
            .collect();
        assert_eq!(parse(&text), Config::default(), "{setting}");
        tried += 1;
    }
    // All except root and port, which are not commented, and the header of the [[listen]].
    assert_eq!(tried, SETTINGS.len() - 2 + 1);
}

#[test]
fn all_commented_settings_together_are_the_defaults() {
    let text = shipped(|line| match line {
        line if line.starts_with("port") => format!("#{line}"),
        line => commented(line).unwrap_or(line).to_owned(),
    });
    assert_eq!(parse(&text), Config::default());
}

#[test]
fn shipped_file_lists_every_setting_with_its_default() {
    let mut section = "";
    let mut written = Vec::new();
    for line in SHIPPED.lines() {
        let line = commented(line).unwrap_or(line);
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_matches(['[', ']']);
        } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            let name = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
            written.push((name, value.to_owned()));
        }
    }
    let table: Vec<_> = SETTINGS.iter().map(|setting| (setting.name.to_owned(), setting.default_toml())).collect();
    assert_eq!(written, table);
}

#[test]
fn settings_have_unique_names_and_descriptions() {
    for setting in SETTINGS {
        assert!(setting.help.ends_with('.') && !setting.help.contains('\n'), "{}", setting.name);
        assert!(!setting.accepts().is_empty() && !setting.default_toml().is_empty(), "{}", setting.name);
        assert_eq!(SETTINGS.iter().filter(|other| other.name == setting.name).count(), 1, "{}", setting.name);
    }
}

#[test]
fn every_setting_is_read_from_the_file() {
    let config = parse(
        r#"
        root = "/data"
        user = "nobody"
        group = "www-data"
        workers = 3
        control = ""
        listen = [
            { address = "127.0.0.1:1", encoding = "plain" },
            { address = "[::ffff:192.0.2.1]:2", encoding = "base64" },
            { address = "[fe80::1%3]:3", encoding = "base64", base64-line = "64 KiB" },
            { address = "0.0.0.0:0" },
            { address = "0.0.0.0:0", base64-line = 0 },
        ]
        files = { names = "printable", symlinks = "never", hidden = true }
        timeouts = { idle = "200ms", request = "1m30s", stall = "1d", drain = "0s" }
        log = { target = "syslog", facility = "local7", level = "off", access = false }
        [limits]
        connections = 1
        connections-per-address = 2
        request-line = 512
        rate-per-connection = "1 MB"
        allow = ["10.0.0.0/8", "::ffff:192.0.2.0/120"]
        deny = ["10.1.2.3", "2001:db8::/32"]
        "#,
    );
    let at = |address: &str| Listener::new(address.parse().expect("a valid address"));
    let network = |text: &str| text.parse().expect("a valid network");
    let expected = Config {
        root: PathBuf::from("/data"),
        listeners: vec![
            Listener { encoding: Encoding::Plain, ..at("127.0.0.1:1") },
            Listener { encoding: Encoding::Base64, ..at("192.0.2.1:2") },
            Listener { encoding: Encoding::Base64, base64_line: 65_535, ..at("[fe80::1%3]:3") },
            at("0.0.0.0:0"),
            at("0.0.0.0:0"),
        ],
        user: "nobody".to_owned(),
        group: "www-data".to_owned(),
        workers: Workers::Count(NonZeroU16::new(3).expect("3 is not 0")),
        control: None,
        files: Files { names: NameCharset::Printable, symlinks: Symlinks::Never, hidden: true },
        limits: Limits {
            connections: 1,
            connections_per_address: 2,
            request_line: 512,
            rate_per_connection: 1_000_000,
            allow: vec![network("10.0.0.0/8"), network("192.0.2.0/24")],
            deny: vec![network("10.1.2.3/32"), network("2001:db8::/32")],
        },
        timeouts: Timeouts {
            idle: Duration::from_millis(200),
            request: Duration::from_secs(90),
            stall: Duration::from_secs(86_400),
            drain: Duration::ZERO,
        },
        log: Log { target: LogTarget::Syslog, facility: Facility::Local7, level: log::LevelFilter::Off, access: false },
    };
    assert_eq!(config, expected);
    // Every setting except root and the listeners has changed, so none has its default above.
    let changes = diff(&Config::default(), &config);
    assert_eq!(changes.live.len() + changes.restart.len(), SETTINGS.len() - 3, "{changes}");
    assert_eq!(parse(&config::dump(&config)), config);
}

#[test]
fn missing_port_and_listen_is_the_default_port() {
    assert_eq!(parse("root = '/srv/hftp'"), Config::default());
    let any = parse("root = '/srv/hftp'\nport = 0");
    assert_eq!(any.listeners[0].address, SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0)));
}

#[test]
fn all_errors_are_reported_by_position() {
    let diagnostics = refuse("prot = 1\n[limits]\n\tconnections = \"many\"\n[timeouts]\nidle = 30\nidel = '5m'\n");
    let expected = "\
F:1:1: unknown key \"prot\"; did you mean \"port\"?
 1 | prot = 1
   | ^^^^
F:1:1: root is missing, expected a line such as root = \"/srv/hftp\"
F:3:16: limits.connections: invalid type: string \"many\", expected a whole number from 1 to 1000000
 3 |  connections = \"many\"
   |                ^^^^^^
F:5:8: timeouts.idle: invalid type: integer `30`, expected a time from \"1ms\" to \"365d\" such as \"500ms\", \"30s\", \"5m\" or \"1h30m\"
 5 | idle = 30
   |        ^^
F:6:1: unknown key \"timeouts.idel\"; did you mean \"idle\"?
 6 | idel = '5m'
   | ^^^^";
    assert_eq!(diagnostics.to_string(), expected);
    assert_eq!(diagnostics.list().len(), diagnostics.headlines().count());
}

#[test]
fn errors_in_listeners() {
    let overlap = "[[listen]]\naddress = '[::]:1'\n[[listen]]\naddress = '0.0.0.0:1'";
    for (text, expected) in [
        (
            "port = 1\nlisten = [{address = '[::]:2'}]",
            "F:1:1: port: port and [[listen]] exclude each other, expected one of them",
        ),
        ("listen = []", "F:1:10: listen: the list is empty, expected at least one listener"),
        ("listen = [7]", "F:1:11: listen: expected a table such as { address = \"127.0.0.1:19500\" }"),
        ("[[listen]]\nencoding = 'plain'", "F:1:1: listen.address is missing, expected one in each [[listen]]"),
        (
            "[[listen]]\naddress = 'host:1'",
            "F:2:11: listen.address: invalid value: string \"host:1\", expected an IP address and a port such as \"127.0.0.1:19500\" or \"[::]:19500\" (every address)",
        ),
        (
            "[[listen]]\naddress = '[::]:1'\n[[listen]]\naddress = '[::]:1'",
            "F:4:11: listen.address: [::]:1 overlaps the [[listen]] of [::]:1",
        ),
        (overlap, "F:4:11: listen.address: 0.0.0.0:1 overlaps the [[listen]] of [::]:1"),
        (
            "[[listen]]\naddress = '[::]:1'\nbase64-line = 48",
            "F:3:15: listen.base64-line: requires encoding = \"base64\"",
        ),
        (
            "[[listen]]\naddress = '[::]:1'\nencoding = 'base64'\nbase64-line = 2",
            "F:4:15: listen.base64-line: invalid value: integer `2`, expected 0 or a size from 3 B to 16 MiB, as a number of bytes or such as \"64 KiB\" (B, kB, MB, GB, KiB, MiB, GiB)",
        ),
        (
            "[[listen]]\naddress = '[::]:1'\nencoding = 'raw'",
            "F:3:12: listen.encoding: invalid value: string \"raw\", expected \"fragments\", \"plain\" or \"base64\"",
        ),
    ] {
        let diagnostics = refuse(text);
        let reported: Vec<_> = diagnostics.headlines().filter(|line| !line.contains("root is missing")).collect();
        assert_eq!(reported, [expected], "{text}");
    }
}

#[test]
fn syntax_error_is_reported_alone() {
    for (text, place) in [
        ("root = \n", "F:1:8: not valid TOML: "),
        ("root = '/x'\nport = 1\nport = 2\n", "F:3:1: not valid TOML: duplicate key"),
        ("root = '/x'\n[limits\n", "F:2:8: not valid TOML: "),
        ("root = \"/x\n", "F:1:"),
        ("root '/x'", "F:1:"),
    ] {
        let headlines: Vec<_> = refuse(text).headlines().collect();
        assert!(headlines.len() == 1 && headlines[0].starts_with(place), "{text:?}: {headlines:?}");
    }
}

#[test]
fn error_neither_hides_nor_causes_others() {
    let diagnostics = refuse(
        "root = '/x'
[[listen]]
address = '[::]:1'
[[listen]]
address = '[::]:1'
adress = 2
[[listen]]
address = 'x'
encoding = 'bas64'
base64-line = 48
[[listen]]
address = '[::]:0'
",
    );
    let places: Vec<_> = diagnostics.list().iter().map(|f| (f.line, f.column)).collect();
    assert_eq!(places, [(5, 11), (6, 1), (8, 11), (9, 12)], "{diagnostics}");
}

#[test]
fn message_for_a_huge_number_contains_the_accepted_values() {
    let diagnostics = refuse(&format!("root = '/x'\nport = {}", "9".repeat(60)));
    assert!(diagnostics.to_string().contains("expected a whole number from 0 to 65535"), "{diagnostics}");
}

#[test]
fn random_text_does_not_panic() {
    for deep in [format!("a = {}", "[".repeat(500_000)), format!("root{} = 1", ".a".repeat(500_000))] {
        refuse(&deep);
    }
    for cut in (0..SHIPPED.len()).filter(|at| SHIPPED.is_char_boundary(*at)) {
        let _ = config::parse(&SHIPPED[..cut]).map_err(|diagnostics| diagnostics.to_string());
    }
    let everything = config::dump(&Config::default());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..20_000 {
        let mut bytes = everything.clone().into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] = b"\"'[]{}=.#,\n\r\t 0a\x7f\xc3"[random.below(18)];
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Err(diagnostics) = config::parse(&text) {
            assert!(diagnostics.to_string().lines().count() >= 1, "{text}");
        }
    }
}

#[test]
fn dump_is_read_as_the_same_configuration() {
    assert_eq!(parse(&config::dump(&Config::default())), Config::default());
    let seed = 0x5eed_0001;
    let mut random = Random(seed);
    for round in 0..3000 {
        let config = random.config();
        let text = config::dump(&config);
        assert_eq!(parse(&text), config, "seed {seed:#x}, round {round}\n{text}");
    }
}

/// xorshift64*, for the same configurations in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).expect("53 bits fit") % bound
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    fn count(&mut self, most: u32) -> u32 {
        u32::try_from(self.next() % u64::from(most)).expect("less than most") + 1
    }

    fn time(&mut self) -> Duration {
        let unit = self.of(&[1, 1000, 60_000, 3_600_000]);
        Duration::from_millis(u64::from(self.count(8000)) * unit)
    }

    fn path(&mut self) -> PathBuf {
        let odd = ['a', ' ', '\'', '"', '\\', '\n', '\t', '\u{1b}', 'ñ', '#', '='];
        PathBuf::from(format!("/{}", (0..self.below(12)).map(|_| self.of(&odd)).collect::<String>()))
    }

    fn networks(&mut self) -> Vec<ipnet::IpNet> {
        let known = ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.7/32", "2001:db8::/32", "::/0", "::1/128"];
        (0..self.below(4)).map(|_| self.of(&known).parse().expect("a valid network")).collect()
    }

    fn listener(&mut self, port: u16) -> Listener {
        let line = self.of(&[0, 3, 49_152, 16_777_215]);
        let encoding = self.of(&[Encoding::Fragments, Encoding::Plain, Encoding::Base64]);
        Listener {
            address: SocketAddr::new(self.of(&["::", "::1", "127.0.0.1"]).parse().expect("a valid address"), port),
            encoding,
            base64_line: if encoding == Encoding::Base64 { line } else { 0 },
        }
    }

    fn config(&mut self) -> Config {
        let control = self.path();
        let workers = NonZeroU16::new(u16::try_from(self.count(1024)).expect("fits")).expect("at least 1");
        Config {
            root: self.path(),
            listeners: (0..=self.below(3)).map(|n| self.listener(u16::try_from(n).expect("few"))).collect(),
            user: self.of(&["hftp", "a-b", "DOMAIN\\x", "ñ"]).to_owned(),
            group: self.of(&["hftp", "a'b", "a\"b"]).to_owned(),
            workers: self.of(&[Workers::Auto, Workers::Count(workers)]),
            control: self.of(&[true, false]).then_some(control),
            files: Files {
                names: self.of(&[NameCharset::Portable, NameCharset::Printable]),
                symlinks: self.of(&[Symlinks::Inside, Symlinks::Never]),
                hidden: self.of(&[true, false]),
            },
            limits: Limits {
                connections: self.count(1_000_000),
                connections_per_address: self.count(1_000_000) - 1,
                request_line: self.of(&[512, 513, 4096, 8 << 20, 1 << 30]),
                rate_per_connection: self.of(&[0, 1024, 1025, 1 << 40]),
                allow: self.networks(),
                deny: self.networks(),
            },
            timeouts: Timeouts { idle: self.time(), request: self.time(), stall: self.time(), drain: self.time() },
            log: Log {
                target: self.of(&[LogTarget::Auto, LogTarget::Syslog, LogTarget::Stderr]),
                facility: self.of(&[Facility::Daemon, Facility::User, Facility::Ftp, Facility::Local0]),
                level: self.of(&[log::LevelFilter::Off, log::LevelFilter::Warn, log::LevelFilter::Trace]),
                access: self.of(&[true, false]),
            },
        }
    }
}
