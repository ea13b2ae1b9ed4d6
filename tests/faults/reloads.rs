//! Many reloads.

use crate::expect_served;
use crate::process::{open_files, thread_names};
use crate::support::proc::anonymous_kib;
use crate::support::{Client, Daemon, Encoding, Settings, TestDir, content, eventually, meanwhile};

/// The threads except those for disk operations, which start and end as needed.
fn lasting_threads(pid: u32) -> Vec<String> {
    thread_names(pid).into_iter().filter(|name| name != "disk").collect()
}

#[test]
fn a_thousand_reloads_under_load_leak_nothing() {
    const RELOADS: usize = 1000;
    const FIRST: usize = 300;
    let dir = TestDir::new();
    content::write(&dir.root().join("f"), 1, 200_000);
    let settings = Settings::new(&dir).set("log.access", "false");
    let mut daemon = Daemon::start(&dir, &settings);
    let address = daemon.address(0);
    let take_slices = |client: &mut Client| {
        for offset in (0..100_000).step_by(10_000) {
            let bytes = client.slice(Encoding::Fragments, "f", offset, 100_000).expect("a slice");
            assert!(bytes == content::pattern(1, offset, 100_000), "wrong bytes");
        }
    };
    let mut kept = daemon.client();
    take_slices(&mut kept);
    let pid = daemon.pid();
    let threads = lasting_threads(pid);
    // Files that are not requested are closed after some time.
    let settled_files = |daemon: &Daemon, wanted: Option<usize>| {
        let mut last = None;
        eventually("the daemon has closed unused files", || {
            let count = open_files(daemon.pid());
            let is_settled = wanted.map_or(last == Some(count), |wanted| count <= wanted);
            last = Some(count);
            std::thread::sleep(std::time::Duration::from_millis(100));
            if is_settled { Ok(()) } else { Err(format!("{count} are open, {wanted:?} were")) }
        });
        open_files(daemon.pid())
    };
    let files = settled_files(&daemon, None);

    let versions = ["\"4m\"", "7", "\"5m\"", "\"for ever\""].map(|idle| settings.clone().set("timeouts.idle", idle));
    let mut reload = |times: usize| {
        for version in versions.iter().cycle().take(times) {
            version.write(&dir.config());
            daemon.hang_up();
        }
        anonymous_kib(pid)
    };
    let (before, after) = meanwhile(
        2,
        || take_slices(&mut Client::connect(address)),
        // The allocator keeps memory of the first reloads.
        || (reload(FIRST), reload(RELOADS - FIRST)),
    );

    take_slices(&mut kept);
    let reloads = daemon.status()["reloads"].clone();
    assert_eq!(reloads["succeeded"], RELOADS / 2, "{reloads}");
    assert_eq!(reloads["failed"], RELOADS / 2, "{reloads}");
    daemon.wait_connections("total", 1);
    settled_files(&daemon, Some(files));
    eventually("the threads are those of the start", || match lasting_threads(pid) {
        now if now == threads => Ok(()),
        now => Err(format!("{now:?}, not {threads:?}")),
    });
    assert!(after < before + 1024, "{before} KiB after {FIRST} reloads, and {after} KiB after {RELOADS}");
    expect_served(&daemon);
}
