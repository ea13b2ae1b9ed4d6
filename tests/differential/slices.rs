//! Random slices of random files, in every encoding, compared with the files.

use std::sync::Arc;

use hftpd::wire::Framing;

use super::requests::{Target, compare, exchange, framings};
use crate::sim::model::{Node, Rules, Tree};
use crate::sim::rng::Rng;
use crate::support::{Daemon, Settings, TestDir, content::pattern, in_parallel};

/// Sizes around the ends of buffers, fragments and lines.
fn size(rng: &mut Rng) -> usize {
    let edge = *rng.pick(&[0, 3, 1024, 4096, 16_384, 32_768, 49_152, 65_536, 131_072, 1 << 20]);
    match rng.below(3) {
        0 => edge + rng.below(4),
        1 => edge.saturating_sub(rng.below(4)),
        _ => rng.below(2_500_000),
    }
}

#[test]
fn slices_match_the_file() {
    let dir = TestDir::new();
    let mut rng = Rng::seeded(1);
    let mut tree = Tree::new();
    let mut files = Vec::new();
    for number in 0..40 {
        let (name, size) = (format!("file-{number}"), size(&mut rng));
        let bytes = pattern(number, 0, size);
        dir.file(&name, &bytes);
        tree.insert(name.clone().into_bytes(), Node::File { bytes: Arc::new(bytes), size });
        files.push((name, size));
    }
    let settings = Settings::new(&dir).listen_all().listen_base64_line("7").listen_base64_line("100000");
    let daemon = Daemon::start(&dir, &settings);
    let rules = Rules { printable: false, hidden: false, links: true, request_line: 8 << 20 };
    let framings = framings().into_iter().chain([6, 99_999].map(Framing::base64_lines));
    let target = |(at, framing)| Target { address: daemon.address(at), framing, rules };
    let targets: Vec<Target> = framings.enumerate().map(target).collect();
    let large = std::env::var("HFTPD_TEST_LARGE").as_deref() == Ok("1");
    let jobs: Vec<u64> = (0..if large { 400 } else { 40 }).collect();
    in_parallel(4, &jobs, |&job| {
        let mut rng = Rng::seeded(1000 + job);
        let target = rng.pick(&targets);
        let mut batch = String::new();
        for _ in 0..25 {
            let (name, whole) = rng.pick(&files);
            let offset = rng.below(whole + 1);
            let rest = whole - offset;
            let length = if rng.chance(20) { rest } else { rest.min(size(&mut rng)) };
            let raw = if rng.chance(20) { " raw" } else { "" };
            batch += &format!("get_slice {name} {offset} {length}{raw}\r\n");
        }
        let received = exchange(target.address, batch.as_bytes());
        let codes = compare(batch.as_bytes(), &received, target, &tree)
            .unwrap_or_else(|error| panic!("job {job} ({:?}): {error}", target.framing));
        assert_eq!(codes, [0; 25], "job {job}");
    });
}
