//! What each library does with the calls of a program that needs a token once
//! a second. One file each; nothing here calls the libraries.

pub mod google_auth;
pub mod google_cloud_auth;
pub mod ours;

use crate::{
    chance::Chance,
    world::{Instance, SECOND, Time},
};

/// A library in a program.
pub trait Client: Sync {
    /// How long it is from one token to the next, on a day without trouble.
    fn period(&self) -> Time;

    /// Lives from `start` to `end`, and asks `instance` whenever it would.
    fn live(&self, start: Time, end: Time, instance: &mut Instance<'_>, chance: &mut impl Chance);
}

/// The first call of a program, which calls once a second from `start` on, that
/// is not before `time`.
pub fn call_at(start: Time, time: Time) -> Time {
    start + (time - start + SECOND - 1).div_euclid(SECOND) * SECOND
}

/// `nominal`, longer or shorter by up to `fraction` of it.
pub fn spread(nominal: Time, fraction: f64, chance: &mut impl Chance) -> Time {
    let factor = 1.0 + fraction * (2.0 * chance.sample() - 1.0);
    (nominal as f64 * factor) as Time
}
