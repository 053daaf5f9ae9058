//! Guest attributes: what programs on the instance write into its metadata,
//! for readers outside.

use http::{Method, Request};

use super::get::{getter, none_where_missing};
use crate::{
    client::config::MetadataClient,
    values::error::{Error, ErrorKind},
    wire::{
        request::{self, MetadataPath, Query},
        response,
    },
};

const ROOT: &str = "instance/guest-attributes/";

impl MetadataClient {
    getter! {
        /// Fetches the guest attribute at `key` of `namespace`; `None` where there is
        /// none. Google, "Set and query guest attributes".
        ///
        /// [`Forbidden`](ErrorKind::Forbidden) where they are not switched on:
        /// the metadata of the instance, or of the project, must have
        /// `enable-guest-attributes` as `TRUE`.
        guest_attribute / blocking_guest_attribute(namespace, key) -> Option<String>,
        |client, namespace, key| {
            let path = path(namespace, Some(key))?;
            none_where_missing(ask(client, &to(client, Method::GET, &path, "")?))
        }
    }

    getter! {
        /// Fetches the keys of the guest attributes of `namespace`; none where it was
        /// never written to. [`Forbidden`](ErrorKind::Forbidden) as for
        /// [`guest_attribute`](Self::guest_attribute).
        guest_attributes / blocking_guest_attributes(namespace) -> Vec<String>,
        |client, namespace| {
            let path = format!("{}/", path(namespace, None)?);
            let listed = none_where_missing(ask(client, &to(client, Method::GET, &path, "")?))?;
            Ok(response::lines(&listed.unwrap_or_default()))
        }
    }

    getter! {
        /// Sets the guest attribute at `key` of `namespace`, in place of what
        /// was there. [`Forbidden`](ErrorKind::Forbidden) as for
        /// [`guest_attribute`](Self::guest_attribute).
        ///
        /// Google's server takes ten requests a minute and three a second, and
        /// may drop what is written faster without a word.
        ///
        /// # Examples
        /// ```no_run
        /// # async fn call(client: gce_auth::MetadataClient) -> Result<(), gce_auth::Error> {
        /// client.put_guest_attribute("my-service", "state", "ready").await?;
        /// # Ok(())
        /// # }
        /// ```
        put_guest_attribute / blocking_put_guest_attribute(namespace, key, value) -> (),
        |client, namespace, key, value| {
            let path = path(namespace, Some(key))?;
            ask(client, &to(client, Method::PUT, &path, value)?).map(drop)
        }
    }

    getter! {
        /// Deletes the guest attribute at `key` of `namespace`; whether there
        /// was one. [`Forbidden`](ErrorKind::Forbidden) as for
        /// [`guest_attribute`](Self::guest_attribute).
        delete_guest_attribute / blocking_delete_guest_attribute(namespace, key) -> bool,
        |client, namespace, key| delete(client, &path(namespace, Some(key))?)
    }

    getter! {
        /// Deletes all guest attributes of `namespace`; whether there were any.
        /// [`Forbidden`](ErrorKind::Forbidden) as for
        /// [`guest_attribute`](Self::guest_attribute).
        delete_guest_attributes / blocking_delete_guest_attributes(namespace) -> bool,
        |client, namespace| delete(client, &path(namespace, None)?)
    }
}

/// The path of a namespace, or of a key in it.
fn path(namespace: &str, key: Option<&str>) -> Result<String, Error> {
    for part in [namespace].into_iter().chain(key) {
        if part.is_empty() || part.contains('/') {
            return Err(Error::new(
                ErrorKind::Config,
                format!("{part:?} is no part of the name of a guest attribute"),
            )
            .with_hint("name a namespace and a key, without slashes"));
        }
    }
    let key = key.map(|key| format!("/{key}")).unwrap_or_default();
    Ok(format!("{ROOT}{namespace}{key}"))
}

fn to(
    client: &MetadataClient,
    method: Method,
    path: &str,
    body: &str,
) -> Result<Request<Vec<u8>>, Error> {
    let path = MetadataPath::new(path)?;
    let mut request = request::value(client.0.endpoint()?, &path, &Query::default())?;
    *request.method_mut() = method;
    *request.body_mut() = body.as_bytes().to_vec();
    Ok(request)
}

fn ask(client: &MetadataClient, request: &Request<Vec<u8>>) -> Result<String, Error> {
    let answer = client.ask(request, |answer, _| answer.text().map(str::to_owned));
    answer.map_err(|error| match error.kind() {
        ErrorKind::Forbidden => error.with_hint(
            "are guest attributes on? Set enable-guest-attributes to TRUE in the metadata of the \
             instance or the project",
        ),
        _ => error,
    })
}

fn delete(client: &MetadataClient, path: &str) -> Result<bool, Error> {
    let deleted = ask(client, &to(client, Method::DELETE, path, "")?);
    Ok(none_where_missing(deleted)?.is_some())
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::io::fake::{HandClock, Reply, ScriptedTransport};

    fn world(reply: Reply) -> (MetadataClient, Arc<ScriptedTransport>) {
        let transport = Arc::new(ScriptedTransport::new([reply]));
        let client = MetadataClient::builder()
            .transport(Arc::clone(&transport) as _)
            .clock(Arc::new(HandClock::at(1)))
            .endpoint("metadata")
            .build_without_environment();
        (client, transport)
    }

    #[test]
    fn requests_are_those_of_the_documentation() {
        let (client, transport) = world(Reply::text("k1\nk2\n"));
        client.blocking_guest_attribute("ns", "key").unwrap();
        assert_eq!(
            client.blocking_guest_attributes("ns").unwrap(),
            ["k1", "k2"]
        );
        client
            .blocking_put_guest_attribute("ns", "key", "a b")
            .unwrap();
        assert!(client.blocking_delete_guest_attribute("ns", "key").unwrap());
        assert!(client.blocking_delete_guest_attributes("ns").unwrap());
        let sent: Vec<String> = transport
            .requests()
            .iter()
            .map(|sent| {
                let path = sent.uri().path();
                let path = path.strip_prefix("/computeMetadata/v1/instance/guest-attributes/");
                let body = String::from_utf8(sent.body().clone()).unwrap();
                format!("{} {} {body}", sent.method(), path.unwrap())
            })
            .collect();
        assert_eq!(
            sent,
            [
                "GET ns/key ",
                "GET ns/ ",
                "PUT ns/key a b",
                "DELETE ns/key ",
                "DELETE ns "
            ]
        );
    }

    #[test]
    fn where_they_are_off_the_error_says_how_to_switch_them_on() {
        let off = "Guest attributes endpoint access is disabled.";
        let (client, _) = world(Reply::Answer(403, off.to_owned()));
        let error = client
            .blocking_put_guest_attribute("ns", "key", "v")
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(
            error.to_string().contains("enable-guest-attributes"),
            "{error}"
        );
    }

    #[test]
    fn what_is_missing_is_none_and_no_name_leaves_its_place() {
        let (client, transport) = world(Reply::status(404));
        assert_eq!(client.blocking_guest_attribute("ns", "key").unwrap(), None);
        assert!(client.blocking_guest_attributes("ns").unwrap().is_empty());
        assert!(!client.blocking_delete_guest_attribute("ns", "key").unwrap());
        let asked = transport.requests().len();
        for (namespace, key) in [
            ("", "k"),
            ("ns", ""),
            ("a/b", "k"),
            ("ns", "../k"),
            ("..", "k"),
            ("ns", "a b"),
        ] {
            let error = client.blocking_guest_attribute(namespace, key).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{namespace} {key}");
        }
        assert_eq!(transport.requests().len(), asked);
    }
}
