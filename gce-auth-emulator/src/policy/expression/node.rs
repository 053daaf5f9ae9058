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

impl Node {
    /// How many nodes lie within each other, this one included. Counted without recursion.
    pub(super) fn height(&self) -> usize {
        let mut highest = 0;
        let mut left = vec![(self, 1)];
        while let Some((node, height)) = left.pop() {
            highest = highest.max(height);
            left.extend(node.children().into_iter().map(|child| (child, height + 1)));
        }
        highest
    }

    fn children(&self) -> Vec<&Self> {
        match self {
            Self::Literal(_) | Self::Variable(_) => Vec::new(),
            Self::List(items) => items.iter().collect(),
            Self::Member(of, _) | Self::Not(of) => vec![of],
            Self::Index(one, other) | Self::Binary(_, one, other) => vec![one, other],
            Self::Call(receiver, _, arguments) => {
                receiver.as_deref().into_iter().chain(arguments).collect()
            }
            Self::Conditional(condition, then, otherwise) => vec![condition, then, otherwise],
        }
    }
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
