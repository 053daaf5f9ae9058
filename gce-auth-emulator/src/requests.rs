//! The requests so far, read without holding up the next ones.

use gce_auth_server::protocol::query::Query;

use crate::{
    journal::{Entry, full_path},
    recorded_request::RecordedRequest,
    state::State,
};

impl State {
    /// All requests that are kept, the oldest first.
    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        let mut all = Vec::new();
        self.each_request(|_| true, |request| all.push(request));
        all
    }

    /// How many requests for this path had each of these parameters.
    pub(crate) fn matching_requests(&self, path: &str, parameters: &[(String, String)]) -> usize {
        let path = full_path(path);
        let mut count = 0;
        let fits = |entry: &Entry| entry.path() == path;
        self.each_request(fits, |request| {
            let query = Query::parse(&request.query);
            let has = |(name, value): &(String, String)| query.get(name) == Some(value);
            count += usize::from(parameters.iter().all(has));
        });
        count
    }

    /// Gives the requests so far that fit. The journal is free while one is looked at, and now and
    /// then before.
    pub(crate) fn each_request(
        &self,
        fits: impl Fn(&Entry) -> bool,
        mut each: impl FnMut(RecordedRequest),
    ) {
        let end = self.journal().last_id();
        let mut last = 0;
        while last < end {
            let journal = self.journal();
            let mut newest = None;
            let page: Vec<RecordedRequest> = journal
                .page(last)
                .take_while(|entry| entry.id() <= end)
                .inspect(|entry| newest = Some(entry.id()))
                .filter(|entry| fits(entry))
                .map(Entry::show)
                .collect();
            drop(journal);
            let Some(newest) = newest else { return };
            last = newest;
            page.into_iter().for_each(&mut each);
        }
    }
}
