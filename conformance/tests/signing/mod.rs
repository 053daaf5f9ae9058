//! A signer over the emulator, at a moment of the test's choosing.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gce_auth::{
    Credentials, MetadataClient, Signer,
    time::{Clock, Now},
};
use gce_auth_emulator::Emulator;

/// A clock that stands still.
#[derive(Debug)]
struct Stopped(Duration);

impl Clock for Stopped {
    fn now(&self) -> Now {
        Now::new(self.0, self.0)
    }

    fn sleep(&self, _: Duration) {}
}

/// Signs by the emulator's IAM, `now` seconds after the epoch, in a universe.
pub(crate) fn signer(emulator: &Emulator, now: u64, universe: &str) -> Signer {
    let client = MetadataClient::builder()
        .endpoint(emulator.addr().to_string())
        .clock(Arc::new(Stopped(Duration::from_secs(now))))
        .build()
        .expect("an address is an endpoint");
    let credentials = Credentials::builder()
        .client(client)
        .universe_domain(universe)
        .shared(false)
        .build()
        .expect("nothing of it is senseless");
    Signer::builder()
        .credentials(credentials)
        .iam_endpoint(emulator.url())
        .build()
        .expect("a URL is an endpoint")
}

/// A directory for an emulator's key, made anew.
pub(crate) fn keys_directory(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// Seconds since the epoch of `YYYY-MM-DDTHH:MM:SSZ` or `YYYYMMDDTHHMMSSZ`.
pub(crate) fn seconds(time: &str) -> u64 {
    let digits: String = time.chars().filter(char::is_ascii_digit).collect();
    let number = |from: usize, to: usize| digits[from..to].parse::<u64>().expect("digits");
    let (year, month, day) = (number(0, 4), number(4, 6), number(6, 8));
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let years: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    let lengths = [
        31,
        28 + u64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
    ];
    let months: u64 = (1..month).zip(lengths).map(|(_, length)| length).sum();
    let (hour, minute, second) = (number(8, 10), number(10, 12), number(12, 14));
    ((years + months + day - 1) * 24 + hour) * 3600 + minute * 60 + second
}
