//! Arguments that are refused, as they may be shown.

use clap::error::{ContextKind, ContextValue};

use crate::helper::hosts::shown;

/// Redacts what a refused argument has before an `@`: the user and password of a URL.
pub(crate) fn redacted(mut error: clap::Error) -> clap::Error {
    for kind in [
        ContextKind::InvalidArg,
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidValue,
    ] {
        if let Some(ContextValue::String(text)) = error.get(kind)
            && text.contains('@')
        {
            let shown = ContextValue::String(shown(text));
            error.insert(kind, shown);
        }
    }
    error
}
