//! Random slices of random files, in every form, against the files.

use crate::sim::dice::Dice;
use crate::support::content::pattern;
use crate::support::daemon::Daemon;
use crate::support::decode::Form;
use crate::support::in_parallel;
use crate::support::settings::Settings;
use crate::support::site::Site;

/// Sizes at which buffers, fragments and lines end, and what lies around them.
fn size(dice: &mut Dice) -> usize {
    let edge = *dice.pick(&[0, 3, 1024, 4096, 16_384, 32_768, 49_152, 65_536, 131_072, 1 << 20]);
    match dice.below(3) {
        0 => edge + dice.below(4),
        1 => edge.saturating_sub(dice.below(4)),
        _ => dice.below(2_500_000),
    }
}

#[test]
fn a_slice_is_those_bytes_of_the_file() {
    let site = Site::new();
    let mut dice = Dice::seeded(1);
    let files: Vec<(String, usize)> = (0..40).map(|number| (format!("file-{number}"), size(&mut dice))).collect();
    for (seed, (name, size)) in files.iter().enumerate() {
        site.file(name, &pattern(seed as u64, 0, *size));
    }
    let settings = Settings::new(&site).listen_all().listen_base64_line("7").listen_base64_line("100000");
    let daemon = Daemon::start(&site, &settings);
    let mut forms = Form::ALL.to_vec();
    forms.extend([(4, Form::Base64 { line: 7 }), (5, Form::Base64 { line: 100_000 })]);
    let large = std::env::var("HFTPD_TEST_LARGE").as_deref() == Ok("1");
    let jobs: Vec<u64> = (0..if large { 400 } else { 40 }).collect();
    in_parallel(4, &jobs, |&job| {
        let mut dice = Dice::seeded(1000 + job);
        let (listener, form) = *dice.pick(&forms);
        let mut client = daemon.client_of(listener);
        for _ in 0..25 {
            let seed = dice.below(files.len());
            let (name, whole) = &files[seed];
            let offset = dice.below(whole + 1);
            let rest = whole - offset;
            let length = if dice.chance(20) { rest } else { rest.min(size(&mut dice)) };
            let got = client.slice(form, name, offset as u64, length as u64);
            let what = format!("job {job}: {form:?}, {length} bytes of {name} from {offset}");
            let got = got.unwrap_or_else(|fault| panic!("{what}: {fault}"));
            assert!(got == pattern(seed as u64, offset as u64, length), "{what}: wrong bytes");
        }
        client.expect_alive();
    });
}
