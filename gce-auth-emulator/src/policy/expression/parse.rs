//! From text to a tree of nodes, by recursive descent.

use serde_json::Value;

use super::node::{Node, Operator};

/// How deep parentheses and lists may be nested in the text.
const DEEPEST: usize = 64;

/// How deep the tree may be. It is evaluated by recursion, and a chain of operators makes it as
/// deep as the chain is long.
const HIGHEST: usize = 128;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Text(String),
    Number(Value),
    Name(String),
    Sign(&'static str),
}

/// Longer signs first.
const SIGNS: [&str; 20] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", ".", "?", ":", "+",
    "-", "%",
];

pub(super) fn expression(text: &str) -> Result<Node, String> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
    };
    let node = parser.conditional()?;
    match parser.tokens.get(parser.next) {
        None if node.height() > HIGHEST => Err(too_deep(HIGHEST)),
        None => Ok(node),
        Some(token) => Err(format!("{token:?} is not expected there")),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '\'' || first == '"' {
            let (literal, after) = literal(&rest[1..], first)?;
            tokens.push(Token::Text(literal));
            rest = after;
        } else if first.is_ascii_digit() {
            let end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            let number = serde_json::from_str(&rest[..end])
                .map_err(|_| format!("{} is no number", &rest[..end]))?;
            tokens.push(Token::Number(number));
            rest = &rest[end..];
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..end].into()));
            rest = &rest[end..];
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            return Err(format!("`{}` means nothing here", first.escape_debug()));
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// A quoted text, and what comes behind it.
fn literal(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, char)) = chars.next() {
        if char == quote {
            return Ok((value, &text[index + char.len_utf8()..]));
        }
        if char != '\\' {
            value.push(char);
            continue;
        }
        value.push(match chars.next() {
            Some((_, 'n')) => '\n',
            Some((_, 't')) => '\t',
            Some((_, escaped @ ('\\' | '\'' | '"' | '`' | '?'))) => escaped,
            _ => return Err("a text has an escape that is not known here".into()),
        });
    }
    Err("a text has no closing quote".into())
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn conditional(&mut self) -> Result<Node, String> {
        self.descend(|parser| {
            let condition = parser.or()?;
            if !parser.take("?") {
                return Ok(condition);
            }
            let then = parser.conditional()?;
            parser.expect(":")?;
            let otherwise = parser.conditional()?;
            Ok(Node::Conditional(
                condition.into(),
                then.into(),
                otherwise.into(),
            ))
        })
    }

    fn or(&mut self) -> Result<Node, String> {
        let mut left = self.and()?;
        while self.take("||") {
            let right = self.and()?;
            left = Node::Binary(Operator::Or, left.into(), right.into());
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Node, String> {
        let mut left = self.relation()?;
        while self.take("&&") {
            let right = self.relation()?;
            left = Node::Binary(Operator::And, left.into(), right.into());
        }
        Ok(left)
    }

    fn relation(&mut self) -> Result<Node, String> {
        let left = self.sum()?;
        let operator = match self.tokens.get(self.next) {
            Some(Token::Sign("==")) => Operator::Equal,
            Some(Token::Sign("!=")) => Operator::Unequal,
            Some(Token::Sign("<")) => Operator::Less,
            Some(Token::Sign("<=")) => Operator::LessOrEqual,
            Some(Token::Sign(">")) => Operator::Greater,
            Some(Token::Sign(">=")) => Operator::GreaterOrEqual,
            Some(Token::Name(name)) if name == "in" => Operator::In,
            _ => return Ok(left),
        };
        self.next += 1;
        Ok(Node::Binary(operator, left.into(), self.sum()?.into()))
    }

    fn sum(&mut self) -> Result<Node, String> {
        let mut left = self.unary()?;
        while self.take("+") {
            let right = self.unary()?;
            left = Node::Binary(Operator::Plus, left.into(), right.into());
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, String> {
        if self.take("!") {
            return self.descend(|parser| Ok(Node::Not(parser.unary()?.into())));
        }
        if self.take("-") {
            return match self.advance() {
                Some(Token::Number(number)) => number
                    .as_i64()
                    .and_then(i64::checked_neg)
                    .map(|number| Node::Literal(number.into()))
                    .ok_or_else(|| "only whole numbers can be negative here".into()),
                _ => Err("a number is expected after -".into()),
            };
        }
        let mut node = self.primary()?;
        loop {
            if self.take(".") {
                let Some(Token::Name(name)) = self.advance() else {
                    return Err("a name is expected after the dot".into());
                };
                node = if self.take("(") {
                    let arguments = self.list(")")?;
                    Node::Call(Some(node.into()), name, arguments)
                } else {
                    Node::Member(node.into(), name)
                };
            } else if self.take("[") {
                let index = self.conditional()?;
                self.expect("]")?;
                node = Node::Index(node.into(), index.into());
            } else {
                return Ok(node);
            }
        }
    }

    fn primary(&mut self) -> Result<Node, String> {
        match self.advance() {
            Some(Token::Text(text)) => Ok(Node::Literal(text.into())),
            Some(Token::Number(number)) => Ok(Node::Literal(number)),
            Some(Token::Name(name)) => Ok(match name.as_str() {
                "true" => Node::Literal(true.into()),
                "false" => Node::Literal(false.into()),
                "null" => Node::Literal(Value::Null),
                _ if self.take("(") => Node::Call(None, name, self.list(")")?),
                _ => Node::Variable(name),
            }),
            Some(Token::Sign("(")) => {
                let node = self.conditional()?;
                self.expect(")")?;
                Ok(node)
            }
            Some(Token::Sign("[")) => Ok(Node::List(self.list("]")?)),
            Some(token) => Err(format!("{token:?} is not expected there")),
            None => Err("the expression ends too early".into()),
        }
    }

    fn list(&mut self, close: &'static str) -> Result<Vec<Node>, String> {
        let mut items = Vec::new();
        while !self.take(close) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(self.conditional()?);
        }
        Ok(items)
    }

    fn descend(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<Node, String>,
    ) -> Result<Node, String> {
        if self.depth >= DEEPEST {
            return Err(too_deep(DEEPEST));
        }
        self.depth += 1;
        let node = inner(self);
        self.depth -= 1;
        node
    }

    fn advance(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).cloned();
        self.next += usize::from(token.is_some());
        token
    }

    fn take(&mut self, sign: &'static str) -> bool {
        let there = self.tokens.get(self.next) == Some(&Token::Sign(sign));
        self.next += usize::from(there);
        there
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), String> {
        if self.take(sign) {
            Ok(())
        } else {
            Err(format!("`{sign}` is missing"))
        }
    }
}

fn too_deep(limit: usize) -> String {
    format!("an expression is nested at most {limit} deep")
}
