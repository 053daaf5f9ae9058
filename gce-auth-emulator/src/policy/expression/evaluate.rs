//! What an expression is worth over variables.

use std::cmp::Ordering;

use serde_json::Value;

use super::node::{Node, Operator};

pub(super) fn node(node: &Node, variables: &Value) -> Result<Value, String> {
    let value = |node: &Node| self::node(node, variables);
    match node {
        Node::Literal(literal) => Ok(literal.clone()),
        Node::List(items) => items
            .iter()
            .map(value)
            .collect::<Result<Vec<_>, _>>()
            .map(Value::from),
        Node::Variable(name) => member(variables, name),
        Node::Member(of, name) => member(&value(of)?, name),
        Node::Index(of, index) => match (value(of)?, value(index)?) {
            (Value::Object(map), Value::String(name)) => member(&Value::Object(map), &name),
            (Value::Array(list), index) => index
                .as_u64()
                .and_then(|index| list.get(usize::try_from(index).ok()?))
                .cloned()
                .ok_or_else(|| "a list has no such index".into()),
            _ => Err("only maps and lists have indices".into()),
        },
        Node::Call(None, name, arguments) => function(name, arguments, variables),
        Node::Call(Some(receiver), name, arguments) => method(receiver, name, arguments, variables),
        Node::Not(of) => Ok((!truth(&value(of)?)?).into()),
        Node::Conditional(condition, then, otherwise) => {
            if truth(&value(condition)?)? {
                value(then)
            } else {
                value(otherwise)
            }
        }
        Node::Binary(Operator::And, left, right) => both(&value(left), || value(right), false),
        Node::Binary(Operator::Or, left, right) => both(&value(left), || value(right), true),
        Node::Binary(operator, left, right) => binary(*operator, &value(left)?, &value(right)?),
    }
}

/// `&&` and `||`: what decides alone does so even if the other side can't be evaluated.
fn both(
    left: &Result<Value, String>,
    right: impl FnOnce() -> Result<Value, String>,
    decisive: bool,
) -> Result<Value, String> {
    let left = left.as_ref().map_err(Clone::clone).and_then(truth);
    if left == Ok(decisive) {
        return Ok(decisive.into());
    }
    let right = right().and_then(|value| truth(&value));
    if right == Ok(decisive) {
        return Ok(decisive.into());
    }
    left?;
    right?;
    Ok((!decisive).into())
}

fn binary(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    let ordered = |wanted: fn(Ordering) -> bool| match compare(left, right) {
        Some(ordering) => Ok(wanted(ordering).into()),
        None => Err("only numbers, and only texts, compare with each other".into()),
    };
    match operator {
        Operator::Equal => Ok((left == right).into()),
        Operator::Unequal => Ok((left != right).into()),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessOrEqual => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(Ordering::is_ge),
        Operator::In => match right {
            Value::Array(list) => Ok(list.contains(left).into()),
            Value::Object(map) => Ok(left
                .as_str()
                .is_some_and(|name| map.contains_key(name))
                .into()),
            _ => Err("only lists and maps have something in them".into()),
        },
        Operator::Plus => match (left, right) {
            (Value::String(left), Value::String(right)) => Ok(format!("{left}{right}").into()),
            (Value::Number(left), Value::Number(right)) => left
                .as_i64()
                .zip(right.as_i64())
                .and_then(|(left, right)| left.checked_add(right))
                .map(Value::from)
                .ok_or_else(|| "the sum is no whole number".into()),
            _ => Err("only numbers, and only texts, are added".into()),
        },
        Operator::And | Operator::Or => Err("it was decided before".into()),
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        _ => None,
    }
}

fn truth(value: &Value) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| "a condition is neither true or false".into())
}

fn member(of: &Value, name: &str) -> Result<Value, String> {
    of.get(name)
        .cloned()
        .ok_or_else(|| format!("there is no `{name}`"))
}

fn function(name: &str, arguments: &[Node], variables: &Value) -> Result<Value, String> {
    match (name, arguments) {
        ("has", [argument]) => Ok(node(argument, variables).is_ok().into()),
        ("size", [argument]) => size(&node(argument, variables)?),
        ("string", [argument]) => Ok(match node(argument, variables)? {
            Value::String(text) => text.into(),
            other => other.to_string().into(),
        }),
        _ => Err(format!(
            "there is no function `{name}` with {} arguments",
            arguments.len()
        )),
    }
}

fn size(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) => Ok(text.chars().count().into()),
        Value::Array(list) => Ok(list.len().into()),
        Value::Object(map) => Ok(map.len().into()),
        _ => Err("only texts, lists and maps have a size".into()),
    }
}

fn method(
    receiver: &Node,
    name: &str,
    arguments: &[Node],
    variables: &Value,
) -> Result<Value, String> {
    if let (Node::Variable(of), "getAttribute", [attribute, default]) = (receiver, name, arguments)
        && of == "api"
    {
        let attribute = node(attribute, variables)?;
        let known = attribute
            .as_str()
            .and_then(|name| variables["attributes"].get(name));
        return known.map_or_else(|| node(default, variables), |value| Ok(value.clone()));
    }
    let receiver = node(receiver, variables)?;
    if name == "size" && arguments.is_empty() {
        return size(&receiver);
    }
    let arguments: Vec<Value> = arguments
        .iter()
        .map(|argument| node(argument, variables))
        .collect::<Result<_, _>>()?;
    let (Value::String(text), [Value::String(part)]) = (&receiver, arguments.as_slice()) else {
        return Err(format!("`{name}` is asked of a text, with a text"));
    };
    match name {
        "startsWith" => Ok(text.starts_with(part.as_str()).into()),
        "endsWith" => Ok(text.ends_with(part.as_str()).into()),
        "contains" => Ok(text.contains(part.as_str()).into()),
        "extract" => Ok(extract(text, part).into()),
        _ => Err(format!("texts have no function `{name}`")),
    }
}

/// Google's `extract`: the text at the place of `{name}` in a template, or nothing if the rest of
/// it does not occur.
fn extract<'a>(text: &'a str, template: &str) -> &'a str {
    let Some((before, rest)) = template.split_once('{') else {
        return "";
    };
    let Some((_, after)) = rest.split_once('}') else {
        return "";
    };
    let Some(begin) = text.find(before).map(|at| at + before.len()) else {
        return "";
    };
    let found = &text[begin..];
    if after.is_empty() {
        return found;
    }
    found.find(after).map_or("", |end| &found[..end])
}
