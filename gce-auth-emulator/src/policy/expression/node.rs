//! What an expression is made of.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Literal(Value),
    List(Vec<Self>),
    Variable(String),
    Member(Box<Self>, String),
    Index(Box<Self>, Box<Self>),
    /// `RECEIVER.NAME(ARGUMENTS)`, or `NAME(ARGUMENTS)` without a receiver.
    Call(Option<Box<Self>>, String, Vec<Self>),
    Not(Box<Self>),
    Binary(Operator, Box<Self>, Box<Self>),
    Conditional(Box<Self>, Box<Self>, Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    And,
    Or,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Plus,
}
