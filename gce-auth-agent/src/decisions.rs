//! The last decisions, for the page. No query and no token is kept.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    caller::Caller,
    metrics::{Cache, Kind},
};

/// So many are kept.
const KEPT: usize = 200;
/// The longest path, and the longest reason, that are shown.
const LONGEST: usize = 256;

/// What became of a request.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) at: Duration,
    pub(crate) caller: Arc<Caller>,
    pub(crate) rule: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) cache: Cache,
    /// Why it was refused, or failed.
    pub(crate) why: Option<String>,
}

/// The last decisions.
#[derive(Debug, Default)]
pub(crate) struct Decisions(Mutex<VecDeque<Decided>>);

impl Decisions {
    pub(crate) fn add(&self, mut decided: Decided) {
        for text in [Some(&mut decided.path), decided.why.as_mut()] {
            text.map(cut);
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = (last.len() == KEPT).then(|| last.pop_front());
        last.push_back(decided);
        drop(last);
        drop(gone);
    }

    /// Returns them, the latest first.
    pub(crate) fn latest(&self) -> Vec<Decided> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().rev().cloned().collect()
    }
}

/// Cuts a text that is too long, and what its memory has beyond it.
fn cut(text: &mut String) {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
    }
    text.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_and_long_paths_cut() {
        let decisions = Decisions::default();
        for number in 0..300_u16 {
            decisions.add(Decided {
                at: Duration::ZERO,
                caller: Arc::default(),
                rule: Arc::from("none"),
                kind: Kind::Other,
                path: "\u{e4}".repeat(200),
                status: number,
                cache: Cache::None,
                why: Some("e".repeat(9_000)),
            });
        }
        let latest = decisions.latest();
        assert_eq!((latest.len(), latest[0].status), (200, 299));
        assert_eq!(latest[0].path.len(), 256);
        let all = decisions.0.lock().unwrap();
        for kept in &*all {
            let why = kept.why.as_ref().unwrap();
            assert_eq!(why.len(), 256);
            assert!(why.capacity() < 300 && kept.path.capacity() < 300);
        }
    }
}
