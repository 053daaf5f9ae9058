//! Any path, and the plumbing of the getters.

use http::Request;

use crate::{
    client::config::MetadataClient,
    io::threads::WorkKind,
    values::error::{Error, ErrorKind},
    wire::{
        request::{self, MetadataPath, Query},
        response::{self, Answer},
    },
};

impl MetadataClient {
    /// Fetches the text at `path`, which is written as it stands below
    /// `computeMetadata/v1/`: `instance/name`, `project/attributes/KEY`.
    ///
    /// A directory is listed, one name per line; its slash is added if missing.
    /// The text is returned as the server sends it.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) and [`Forbidden`](ErrorKind::Forbidden)
    /// as the server says; [`Config`](ErrorKind::Config) for a path that cannot
    /// be one; else what keeps the server from answering.
    ///
    /// # Cancel safety
    /// Dropping the future takes nothing from anybody; the request, if it was
    /// sent, ends by itself.
    pub async fn get(&self, path: &str) -> Result<String, Error> {
        let request = self.value(path, &Query::default())?;
        self.background(WorkKind::Other, move |client| client.ask_text(&request))
            .await
    }

    /// [`get`](Self::get), waiting on this thread.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn blocking_get(&self, path: &str) -> Result<String, Error> {
        self.ask_text(&self.value(path, &Query::default())?)
    }

    /// Fetches the directory at `path` and all below it, as the JSON document that the
    /// server makes of it (`recursive=true`). Tokens are never a part of it.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub async fn get_recursive(&self, path: &str) -> Result<String, Error> {
        let request = self.recursive(path)?;
        self.background(WorkKind::Other, move |client| client.ask_text(&request))
            .await
    }

    /// [`get_recursive`](Self::get_recursive), waiting on this thread.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn blocking_get_recursive(&self, path: &str) -> Result<String, Error> {
        self.ask_text(&self.recursive(path)?)
    }

    fn recursive(&self, path: &str) -> Result<Request<Vec<u8>>, Error> {
        self.value(path, &Query::default().with("recursive", "true"))
    }

    fn value(&self, path: &str, query: &Query) -> Result<Request<Vec<u8>>, Error> {
        request::value(self.0.endpoint()?, &MetadataPath::new(path)?, query)
    }

    fn ask_text(&self, request: &Request<Vec<u8>>) -> Result<String, Error> {
        self.ask(request, |answer, _| answer.text().map(str::to_owned))
    }

    /// A value without the newline that some of them end with.
    pub(super) fn trimmed(&self, path: &str) -> Result<String, Error> {
        let request = self.value(path, &Query::default())?;
        self.ask(&request, |answer, _| {
            let text = answer.text()?.trim();
            if text.is_empty() {
                return Err(response::unusable("the value is empty"));
            }
            Ok(text.to_owned())
        })
    }

    /// A value that may be missing: 404 is none.
    pub(super) fn optional(&self, path: &str) -> Result<Option<String>, Error> {
        let request = self.value(path, &Query::default())?;
        none_where_missing(self.ask_text(&request))
    }

    /// A list, one item per line.
    pub(super) fn listed(&self, path: &str) -> Result<Vec<String>, Error> {
        let request = self.value(path, &Query::default())?;
        self.ask(&request, |answer: &Answer, _| {
            answer.text().map(response::lines)
        })
    }
}

pub(crate) fn none_where_missing<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A getter and its blocking twin, from one description of the work.
macro_rules! getter {
    (
        $(#[$doc:meta])*
        $name:ident / $blocking:ident ($($arg:ident),*) -> $value:ty,
        $work:expr
    ) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// As for [`get`](crate::MetadataClient::get).
        pub async fn $name(&self, $($arg: &str),*) -> Result<$value, $crate::values::error::Error> {
            $(let $arg = $arg.to_owned();)*
            self.background($crate::io::threads::WorkKind::Other, move |client| {
                client.$blocking($(&$arg),*)
            })
            .await
        }

        #[doc = concat!("[`", stringify!($name), "`](Self::", stringify!($name), "), waiting on this thread.")]
        ///
        /// # Errors
        /// As for [`get`](crate::MetadataClient::get).
        pub fn $blocking(&self, $($arg: &str),*) -> Result<$value, $crate::values::error::Error> {
            let work: fn(&Self, $(getter!(@str $arg)),*) -> Result<$value, $crate::values::error::Error> = $work;
            work(self, $($arg),*)
        }
    };
    (@str $arg:ident) => { &str };
}
pub(super) use getter;

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use futures_executor::block_on;

    use crate::{io::fake::Reply, values::error::ErrorKind, world::World};

    fn asked(world: &World) -> Vec<String> {
        let requests = world.transport.requests();
        let asked = requests.iter().map(|request| {
            let uri = request.uri().to_string();
            uri.trim_start_matches("http://metadata/computeMetadata/v1/")
                .to_owned()
        });
        asked.collect()
    }

    #[test]
    fn a_directory_is_one_document() {
        let world = World::new([Reply::text(r#"{"a":1}"#)]);
        let document = world.client.blocking_get_recursive("instance/tags/");
        assert_eq!(document.unwrap(), r#"{"a":1}"#);
        assert_eq!(asked(&world), ["instance/tags/?recursive=true"]);
        let error = block_on(world.client.get_recursive("../x")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn a_value_that_may_be_missing_is_none_on_404_alone() {
        let world = World::new([Reply::text("v"), Reply::status(404), Reply::status(403)]);
        let optional = || world.client.optional("project/attributes/a");
        assert_eq!(optional().unwrap().as_deref(), Some("v"));
        assert_eq!(optional().unwrap(), None);
        assert!(optional().is_err());
    }

    #[test]
    fn a_list_has_a_line_for_each() {
        let world = World::new([Reply::text("a\nb\n"), Reply::text("")]);
        let listed = || world.client.listed("project/attributes/").unwrap();
        assert_eq!(listed(), ["a", "b"]);
        assert!(listed().is_empty());
    }

    #[test]
    fn a_region_comes_of_the_zone_or_is_asked_for() {
        let world = World::new([Reply::text("projects/1/zones/europe-west1-b")]);
        assert_eq!(world.client.blocking_region().unwrap(), "europe-west1");
        let world = World::new([
            Reply::text("projects/1/zones/odd"),
            Reply::text("projects/1/regions/europe-west2"),
        ]);
        assert_eq!(world.client.blocking_region().unwrap(), "europe-west2");
        assert_eq!(asked(&world), ["instance/zone", "instance/region"]);
    }
}
