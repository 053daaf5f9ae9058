//! The driver that the oracle of google-auth's behaviour asks: it runs one scenario against the
//! library, with google-auth's settings, and says what came of each step.
//!
//! The scenario comes on standard input, the result goes to standard output.

mod answer;
mod ask;
mod credentials;
mod environment;
mod id_tokens;
mod saved;
mod scopes;
mod sources;
mod world;

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
};

use answer::{Failure, Outcome};
use credentials::Access;
use id_tokens::Identity;
use serde_json::{Map, Value, json};
use world::World;

/// What a step made and a later one uses.
enum Object {
    Access(Access),
    Identity(Identity),
}

/// One scenario in progress.
struct Oracle {
    world: World,
    objects: HashMap<String, Object>,
}

/// Runs the scenario on standard input.
pub(crate) fn run() -> io::Result<()> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    let scenario: Value = serde_json::from_str(&text)?;
    let mut oracle = Oracle {
        world: World::new(&scenario)?,
        objects: HashMap::new(),
    };
    let program = scenario["program"].as_array().cloned().unwrap_or_default();
    let mut steps = Vec::new();
    for (index, step) in program.iter().enumerate() {
        steps.push(oracle.step(index, step)?);
    }
    let result = json!({"driver": "gce-auth", "phased": true, "steps": steps});
    writeln!(io::stdout().lock(), "{result}")
}

impl Oracle {
    /// Does one step and the work that it queued; what came of it.
    fn step(&mut self, index: usize, step: &Value) -> io::Result<Value> {
        let op = step["op"].as_str().unwrap_or_default();
        self.world.mark(index, "foreground")?;
        let outcome = self.execute(op, step);
        let sleeps = self.world.sleeps();
        if !self.world.queue.is_empty() {
            self.world.mark(index, "background")?;
            self.world.queue.run_all();
        }
        let mut entry = Map::new();
        entry.insert("step".into(), index.into());
        let name = match step["property"].as_str() {
            Some(property) if op == "get" => format!("get.{property}"),
            _ => op.to_owned(),
        };
        entry.insert("op".into(), name.into());
        match outcome {
            Ok(value) => entry.insert("ok".into(), value),
            Err(failure) => entry.insert("error".into(), failure.to_json()),
        };
        entry.insert("sleeps".into(), sleeps);
        entry.insert("background_sleeps".into(), self.world.sleeps());
        Ok(Value::Object(entry))
    }

    fn execute(&mut self, op: &str, step: &Value) -> Outcome {
        match op {
            "new_credentials" => {
                let made = Access::new(&self.world, &step["args"])?;
                return Ok(self.put(step, Object::Access(made)));
            }
            "new_id_token_credentials" => {
                let made = Identity::new(&self.world, &step["args"])?;
                return Ok(self.put(step, Object::Identity(made)));
            }
            "advance_clock" => {
                self.world.advance(&step["seconds"])?;
                return Ok(Value::Null);
            }
            "set_env" => {
                let variables = step["args"].as_object();
                let variables = variables.ok_or_else(|| Failure::unusable("no variables"))?;
                self.world.environment.set(variables);
                return Ok(Value::Null);
            }
            "write_file" => return world::write_file(step),
            "default" | "load_credentials" => {
                let (made, said) = sources::found(&self.world, op, step)?;
                self.put(step, Object::Access(made));
                return Ok(said);
            }
            "fetch_id_token_credentials" => {
                let (made, said) = sources::found_identity(&self.world, &step["args"])?;
                self.put(step, Object::Identity(made));
                return Ok(said);
            }
            "fetch_id_token" => {
                let (made, _) = sources::found_identity(&self.world, &step["args"])?;
                return made.token();
            }
            _ => {}
        }
        if let Some(source) = step["source"].as_str() {
            let made = self.made_of(source, op, &step["args"])?;
            return Ok(self.put(step, made));
        }
        if op == "use_self_signed_jwt" {
            let on = step["on"].as_str().unwrap_or_default();
            let Some(Object::Access(access)) = self.objects.get_mut(on) else {
                return Err(Failure::missing());
            };
            access.sign_for(&step["args"]["audience"]);
            return Ok(Value::Null);
        }
        let Some(on) = step["on"].as_str() else {
            return ask::run(&self.world, op, step);
        };
        if let Some(Object::Access(access)) = self.objects.get_mut(on) {
            access.turn_to_audience(op)?;
        }
        let made = match self.objects.get(on).ok_or_else(Failure::missing)? {
            Object::Access(access) => access.run(&self.world, op, step)?,
            Object::Identity(identity) => identity.run(&self.world, op, step)?,
        };
        match made {
            Made::Value(value) => Ok(value),
            Made::Object(object) => Ok(self.put(step, *object)),
        }
    }

    /// Makes an object of another one.
    fn made_of(&self, source: &str, op: &str, args: &Value) -> Result<Object, Failure> {
        let source = self.access(source)?;
        Ok(match op {
            "new_impersonated" => Object::Access(sources::impersonated(&self.world, source, args)?),
            "new_downscoped" => Object::Access(sources::downscoped(source, args)?),
            "new_jwt" => Object::Access(sources::jwt(source, args)?),
            "new_impersonated_id_token" => {
                Object::Identity(sources::impersonated_identity(source, args)?)
            }
            other => return Err(Failure::unknown(other)),
        })
    }

    fn access(&self, name: &str) -> Result<&Access, Failure> {
        match self.objects.get(name) {
            Some(Object::Access(access)) => Ok(access),
            Some(Object::Identity(_)) => Err(Failure::refused("no access-token credentials")),
            None => Err(Failure::missing()),
        }
    }

    fn put(&mut self, step: &Value, object: Object) -> Value {
        let name = step["as"].as_str().unwrap_or_default();
        self.objects.insert(name.to_owned(), object);
        "created".into()
    }
}

/// What a step on an object makes.
enum Made {
    Value(Value),
    Object(Box<Object>),
}

impl From<Value> for Made {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl From<Access> for Made {
    fn from(access: Access) -> Self {
        Self::Object(Box::new(Object::Access(access)))
    }
}

impl From<Identity> for Made {
    fn from(identity: Identity) -> Self {
        Self::Object(Box::new(Object::Identity(identity)))
    }
}
