//! Who takes part, for sections to go through.

use crate::contestant::{Contestant, Failure, Library};

/// What a section does with each contestant.
pub trait Event {
    /// What comes of it.
    type Output;

    /// Lets one contestant take part; an error keeps it out, and is told.
    ///
    /// # Errors
    /// Why it cannot take part.
    fn enter<C: Contestant>(&mut self) -> Result<Self::Output, Failure>;
}

/// One contestant's part.
#[derive(Debug)]
pub struct Entry<T> {
    /// The library.
    pub library: Library,
    /// What is called.
    pub call: &'static str,
    /// What came of it, or why it takes no part.
    pub result: Result<T, String>,
}

fn enter<C: Contestant, E: Event>(event: &mut E, entries: &mut Vec<Entry<E::Output>>) {
    entries.push(Entry {
        library: C::LIBRARY,
        call: C::CALL,
        result: event.enter::<C>().map_err(|failure| failure.to_string()),
    });
}

/// All that only read a token that is in hand.
pub fn readers<E: Event>(event: &mut E) -> Vec<Entry<E::Output>> {
    use crate::contestants::{floor, gce_auth};
    let mut entries = Vec::new();
    enter::<floor::Borrowed, E>(event, &mut entries);
    enter::<floor::Cloned, E>(event, &mut entries);
    enter::<gce_auth::Borrowed, E>(event, &mut entries);
    enter::<gce_auth::Cached, E>(event, &mut entries);
    enter::<gce_auth::Async, E>(event, &mut entries);
    enter::<gce_auth::Blocking, E>(event, &mut entries);
    #[cfg(feature = "peers")]
    {
        use crate::contestants::{gcp_auth, google_cloud_auth, object_store, yup_oauth2};
        enter::<google_cloud_auth::Plain, E>(event, &mut entries);
        enter::<google_cloud_auth::Tagged, E>(event, &mut entries);
        enter::<gcp_auth::Metadata, E>(event, &mut entries);
        enter::<object_store::Provider, E>(event, &mut entries);
        enter::<yup_oauth2::Default, E>(event, &mut entries);
    }
    entries
}

/// One call of each that fetches what it does not have, by threads or tasks.
pub fn fetchers<E: Event>(event: &mut E) -> Vec<Entry<E::Output>> {
    use crate::contestants::{floor, gce_auth};
    let mut entries = Vec::new();
    enter::<floor::Fetched, E>(event, &mut entries);
    enter::<gce_auth::Blocking, E>(event, &mut entries);
    enter::<gce_auth::Async, E>(event, &mut entries);
    #[cfg(feature = "peers")]
    {
        use crate::contestants::{gcp_auth, google_cloud_auth, object_store, yup_oauth2};
        enter::<google_cloud_auth::Plain, E>(event, &mut entries);
        enter::<gcp_auth::Metadata, E>(event, &mut entries);
        enter::<object_store::Provider, E>(event, &mut entries);
        enter::<yup_oauth2::Default, E>(event, &mut entries);
    }
    entries
}

/// One call of each that tasks can wait for.
pub fn waiters<E: Event>(event: &mut E) -> Vec<Entry<E::Output>> {
    use crate::contestants::{floor, gce_auth};
    let mut entries = Vec::new();
    enter::<floor::Shared, E>(event, &mut entries);
    enter::<gce_auth::Async, E>(event, &mut entries);
    #[cfg(feature = "peers")]
    {
        use crate::contestants::{gcp_auth, google_cloud_auth, object_store, yup_oauth2};
        enter::<google_cloud_auth::Plain, E>(event, &mut entries);
        enter::<gcp_auth::Metadata, E>(event, &mut entries);
        enter::<object_store::Provider, E>(event, &mut entries);
        enter::<yup_oauth2::Default, E>(event, &mut entries);
    }
    entries
}
