//! Jumps of the time of day, which must not affect any timeout.

use std::time::{Duration, Instant};

use crate::expect_served;
use crate::shim::Shim;
use crate::support::{Encoding, Settings, TestDir, expect_incomplete, meanwhile, publish_large, slow_client};

/// About three years.
const JUMP: i64 = 100_000_000;

#[test]
fn clock_jumps_move_no_deadline() {
    let dir = TestDir::new();
    publish_large(&dir);
    dir.file("old", b"");
    let mut settings = Settings::new(&dir).set("timeouts.drain", "\"2s\"").set("limits.rate-per-connection", "65536");
    for timeout in ["idle", "request", "stall"] {
        settings = settings.set(&format!("timeouts.{timeout}"), "\"2s\"");
    }
    let (shim, mut daemon) = Shim::start(&dir, &settings);
    let soonest = Duration::from_millis(1500);
    let jump_back_and_forth = || {
        for offset in [-JUMP, JUMP] {
            shim.set_clock(offset);
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    meanwhile(1, jump_back_and_forth, || {
        let mut idle = daemon.client();
        let mut reading = daemon.client();
        reading.send("get_meta");
        let begin = Instant::now();
        idle.expect_close();
        assert!(begin.elapsed() > soonest, "an idle client was closed after {:?}", begin.elapsed());
        reading.expect("101 BAD REQUEST\r\n");
        reading.expect_close();

        // The rate limit.
        let begin = Instant::now();
        let mut limited = daemon.client();
        limited.slice(Encoding::Raw, "large", 0, 200_000).expect("a slice at 64 KiB a second");
        assert!(begin.elapsed() > soonest, "200,000 bytes in {:?}", begin.elapsed());

        // The cache of listings and of files.
        assert_eq!(daemon.client().listing(), ["large", "old"]);
        assert!(shim.clock_reads() > 0, "the daemon does not read the time of day through the shim");
        std::fs::rename(dir.root().join("old"), dir.root().join("new")).expect("rename");
        assert_eq!(daemon.client().listing(), ["large", "new"]);
        expect_served(&daemon);
        let uptime = daemon.status()["uptime_seconds"].as_u64();
        assert!(uptime < Some(60), "up for {uptime:?} s");

        let mut clients = [slow_client(&daemon, Encoding::Raw)];
        daemon.wait_connections("sending", 1);
        let begin = Instant::now();
        assert_eq!(daemon.stop(), Some(0));
        assert!(begin.elapsed() > soonest, "cut {:?} after the drain began", begin.elapsed());
        expect_incomplete(&mut clients);
    });
}
