//! The kind of a credentials file.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use gce_auth_emulator::AdcKind;

/// Parses the name of a kind.
pub(crate) fn adc_kind() -> impl TypedValueParser<Value = AdcKind> {
    PossibleValuesParser::new(AdcKind::ALL.map(AdcKind::name))
        .try_map(|name| name.parse::<AdcKind>())
}
