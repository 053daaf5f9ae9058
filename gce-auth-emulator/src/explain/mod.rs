//! Why a request was refused or led nowhere, and the nearest thing that would have worked.

mod api;
mod facts;
mod guard;
mod near;
mod oauth;
mod tree;
mod values;
mod why;

pub(crate) use facts::Facts;
pub(crate) use why::{explain, unreadable};
