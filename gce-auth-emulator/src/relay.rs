//! What is not in the document is asked of another metadata server, and what is lies over that
//! server's.

use std::time::Duration;

use gce_auth_server::protocol::{
    Method, Reply, Request,
    etag::Etag,
    pages,
    query::{Reading, Wait},
    render,
    route::{Op, Target},
    tree::Node,
};
use serde_json::{Map, Value};

use crate::{
    client::Client,
    document::etag_of,
    identity::accounts::Identity,
    state::State,
    upstream::{Ask, Upstream},
};

/// Says how many emulators a request went through, so that a circle of them ends.
const HOPS: &str = "x-metadata-hops";
const MAX_HOPS: u32 = 4;

const TIMEOUT: Duration = Duration::from_secs(30);

/// When another server that does not wait for a change, or not for this one, is asked again.
const PAUSE: Duration = Duration::from_secs(5);

/// Headers of a request that are passed on. Not `X-Forwarded-For`, which every metadata server
/// refuses.
const PASSED: [&str; 3] = ["user-agent", "x-goog-api-client", "content-type"];

impl State {
    /// The answer, if it isn't for the document here to give.
    pub(crate) async fn relay(
        &self,
        upstream: &Upstream,
        (op, request): (&Op, &Request),
        client: Option<&Client>,
    ) -> Option<Reply> {
        let here = |target: &Target| {
            self.document.read_for(client, |document| {
                Node::find(document, target.steps()).map(|node| node.is_directory())
            })
        };
        let answer = match op {
            Op::Read(reading, target) => match here(target) {
                None => self.pass(upstream, request, Some(target)).await,
                Some(true) if target.slash() => {
                    self.merged(upstream, request, client, (target, reading))
                        .await
                }
                Some(_) => return None,
            },
            Op::Credential { account, .. } => {
                let known = self.document.read_for(client, |document| {
                    Identity::find(document, account).is_some()
                });
                if known {
                    return None;
                }
                self.pass(upstream, request, None).await
            }
            Op::WriteGuestAttribute { .. } | Op::DeleteGuestAttribute { .. } => {
                self.pass(upstream, request, None).await
            }
            Op::Login { .. } => {
                let known = self
                    .document
                    .read_for(client, |document| document["oslogin"].is_object());
                if known {
                    return None;
                }
                self.pass(upstream, request, None).await
            }
            Op::Home | Op::Versions => return None,
        };
        Some(answer.unwrap_or_else(|reply| reply))
    }

    /// Asks the same, and answers the same.
    async fn pass(
        &self,
        upstream: &Upstream,
        request: &Request,
        target: Option<&Target>,
    ) -> Result<Reply, Reply> {
        let mark = if request.query.is_empty() { "" } else { "?" };
        let waits = target.is_some() && request.query.contains("wait_for_change");
        let ask = Ask {
            method: match &request.method {
                // Its length is that of the value, which only GET tells.
                Method::Head => "GET",
                other => other.as_str(),
            },
            target: format!("{}{mark}{}", request.path, request.query),
            headers: passed(request)?,
            body: request.body.clone(),
            timeout: (!waits).then_some(TIMEOUT),
        };
        // The number of waiting requests counts these, too.
        let _waiting = waits.then(|| self.document.subscribe());
        let answer = upstream
            .ask(ask)
            .await
            .map_err(|why| pages::bad_gateway(&why))?;
        if let (301, Some(target)) = (answer.status, target) {
            return Ok(target.add_slash());
        }
        let mut reply = Reply::new(answer.status, answer.content_type, answer.body);
        for (name, value) in answer.headers {
            reply = reply.with(name, value);
        }
        Ok(reply.relayed())
    }

    /// A directory of which a part is here.
    async fn merged(
        &self,
        upstream: &Upstream,
        request: &Request,
        client: Option<&Client>,
        (target, reading): (&Target, &Reading),
    ) -> Result<Reply, Reply> {
        let mut changes = reading.wait.as_ref().map(|_| self.document.subscribe());
        let (mut theirs, mut their_etag) = self.their(upstream, request, target, None).await?;
        let (reply, etag) = self.over(client, &theirs, target, reading)?;
        let (Some(Wait { last_etag, timeout }), Some(changes)) = (&reading.wait, &mut changes)
        else {
            return Ok(reply);
        };
        if last_etag.as_ref().is_some_and(|last| !etag.is(last)) {
            return Ok(reply);
        }
        let late = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(*timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(late);
        let mut pause = their_etag.is_empty();
        loop {
            let there = async {
                if pause {
                    tokio::time::sleep(PAUSE).await;
                }
                let known = Some(their_etag.as_str()).filter(|etag| !etag.is_empty());
                self.their(upstream, request, target, known).await
            };
            let here = async {
                while changes.changed().await.is_ok() {
                    if !matches!(self.over(client, &theirs, target, reading), Ok((_, now)) if now == etag)
                    {
                        break;
                    }
                }
            };
            let new = tokio::select! {
                new = there => Some(new?),
                () = here => None,
                () = &mut late => None,
            };
            let Some((value, new_etag)) = new else {
                return self
                    .over(client, &theirs, target, reading)
                    .map(|(reply, _)| reply);
            };
            pause = new_etag.is_empty() || new_etag == their_etag;
            (theirs, their_etag) = (value, new_etag);
            // What changed there may be hidden by what is here.
            let (reply, now) = self.over(client, &theirs, target, reading)?;
            if now != etag {
                return Ok(reply);
            }
        }
    }

    /// What is below the place there, and its ETag; once it changed from the ETag given.
    async fn their(
        &self,
        upstream: &Upstream,
        request: &Request,
        target: &Target,
        changed_from: Option<&str>,
    ) -> Result<(Value, String), Reply> {
        let wait = changed_from.map_or_else(String::new, |etag| {
            format!("&wait_for_change=true&last_etag={etag}")
        });
        let ask = Ask {
            method: "GET",
            target: format!("{}?recursive=true&alt=json{wait}", target.path()),
            headers: passed(request)?,
            body: Vec::new(),
            timeout: changed_from.is_none().then_some(TIMEOUT),
        };
        let failed = |why: &str| pages::bad_gateway(why);
        let answer = upstream.ask(ask).await.map_err(|why| failed(&why))?;
        match answer.status {
            404 => return Ok((Value::Object(Map::new()), String::new())),
            200 => {}
            _ => {
                return Err(Reply::new(answer.status, answer.content_type, answer.body).relayed());
            }
        }
        let value = serde_json::from_slice(&answer.body)
            .map_err(|_| failed("the other metadata server answered with broken JSON"))?;
        let etag = answer
            .headers
            .into_iter()
            .find(|(name, _)| *name == "ETag")
            .map(|(_, etag)| etag)
            // It becomes a part of a query.
            .filter(|etag| etag.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        Ok((value, etag.unwrap_or_else(|| "0".into())))
    }

    /// What is here over what is there, as an answer, and its ETag.
    fn over(
        &self,
        client: Option<&Client>,
        theirs: &Value,
        target: &Target,
        reading: &Reading,
    ) -> Result<(Reply, Etag), Reply> {
        let document = self
            .document
            .read_for(client, |document| {
                let node = Node::find(document, target.steps())?;
                let mut value = theirs.clone();
                put_over(&mut value, node.value);
                Some(nest(node.keys(), value))
            })
            .ok_or_else(|| target.not_found())?;
        let node = Node::find(&document, target.steps()).ok_or_else(|| target.not_found())?;
        let form = render::form(&node, target, reading)?;
        let etag = etag_of(&node);
        Ok((render::reply(&node, form, etag), etag))
    }
}

/// The headers for the next server.
fn passed(request: &Request) -> Result<Vec<(&'static str, String)>, Reply> {
    let hops = request
        .header(HOPS)
        .and_then(|hops| hops.parse().ok())
        .unwrap_or(0_u32);
    if hops >= MAX_HOPS {
        return Err(pages::bad_gateway(&format!(
            "the request went through {hops} emulators: each seems to be the next one's upstream"
        )));
    }
    let mut headers = vec![(HOPS, (hops + 1).to_string())];
    for name in PASSED {
        if let Some(value) = request.header(name) {
            headers.push((name, value.into()));
        }
    }
    Ok(headers)
}

/// Puts one value over another: objects key by key, lists of objects item by item, anything else
/// whole.
fn put_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                put_over(under.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(under), Value::Array(over)) if over.iter().any(Value::is_object) => {
            for (index, value) in over.iter().enumerate() {
                match under.get_mut(index) {
                    Some(under) => put_over(under, value),
                    None => under.push(value.clone()),
                }
            }
        }
        (under, over) => under.clone_from(over),
    }
}

/// A document with nothing but a value at these keys.
fn nest(keys: Vec<String>, value: Value) -> Value {
    keys.into_iter().rev().fold(value, |value, key| {
        let list = key.parse::<usize>().ok().filter(|index| *index < 1000);
        match list {
            Some(index) => {
                let mut items = vec![Value::Null; index];
                items.push(value);
                Value::Array(items)
            }
            None => Value::Object(Map::from_iter([(key, value)])),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_here_lies_over_what_is_there() {
        let mut under = json!({"a": {"b": 1, "c": [1, 2]}, "d": [{"e": 1}], "f": 1});
        put_over(
            &mut under,
            &json!({"a": {"b": 2, "c": [3]}, "d": [{"g": 1}, {"h": 1}], "i": {}}),
        );
        assert_eq!(
            under,
            json!({"a": {"b": 2, "c": [3]}, "d": [{"e": 1, "g": 1}, {"h": 1}], "f": 1, "i": {}})
        );
    }

    #[test]
    fn a_value_is_found_where_it_was_nested() {
        let keys = ["instance", "networkInterfaces", "1"].map(Into::into);
        let document = nest(keys.into(), json!({"mtu": 1}));
        let path = ["instance", "network-interfaces", "1", "mtu"];
        assert_eq!(Node::find(&document, path).unwrap().value, &json!(1));
    }
}
