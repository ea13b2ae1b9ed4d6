//! A time of day that jumps. What waits for a deadline must not notice.

use std::time::{Duration, Instant};

use crate::expect_served;
use crate::shim::Shim;
use crate::support::client::Client;
use crate::support::decode::Form;
use crate::support::settings::Settings;
use crate::support::site::Site;
use crate::support::slow::slow;
use crate::support::{content, meanwhile};

const LARGE: u64 = 48 << 20;

/// About three years.
const JUMP: i64 = 100_000_000;

#[test]
fn clock_jumps_move_no_deadline() {
    let site = Site::new();
    content::write(&site.root().join("large"), 1, LARGE);
    let mut settings = Settings::new(&site).set("timeouts.drain", "\"2s\"").set("limits.rate-per-connection", "65536");
    for timeout in ["idle", "request", "stall"] {
        settings = settings.set(&format!("timeouts.{timeout}"), "\"2s\"");
    }
    let (shim, mut daemon) = Shim::start(&site, &settings);
    let soonest = Duration::from_millis(1500);
    let jump_back_and_forth = || {
        for offset in [-JUMP, JUMP] {
            shim.set_clock(offset);
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    meanwhile(1, jump_back_and_forth, || {
        let mut idle = daemon.client();
        let mut asks = daemon.client();
        asks.send("get_meta");
        let begin = Instant::now();
        idle.expect_close();
        assert!(begin.elapsed() > soonest, "an idle client was closed after {:?}", begin.elapsed());
        asks.expect("101 BAD REQUEST\r\n");
        asks.expect_close();

        // The rate's own time goes on as well.
        let begin = Instant::now();
        let mut paced = daemon.client();
        paced.slice(Form::Raw, "large", 0, 200_000).expect("a slice at 64 KiB a second");
        assert!(begin.elapsed() > soonest, "200,000 bytes in {:?}", begin.elapsed());

        assert_eq!(daemon.client().listing(), ["large"]);
        assert!(shim.times_asked() > 0, "the shim is not asked for the time of day");
        std::fs::rename(site.root().join("large"), site.root().join("renamed")).expect("rename");
        assert_eq!(daemon.client().listing(), ["renamed"]);
        expect_served(&daemon);
        let uptime = daemon.status()["uptime_seconds"].as_u64();
        assert!(uptime < Some(60), "up for {uptime:?} s");

        let mut stuck: Client = slow(&daemon, 0, Form::Raw, "renamed", LARGE);
        daemon.wait_connections("sending", 1);
        let begin = Instant::now();
        assert_eq!(daemon.stop(), Some(0));
        assert!(begin.elapsed() > soonest, "cut {:?} after the drain began", begin.elapsed());
        stuck.drain();
    });
}
