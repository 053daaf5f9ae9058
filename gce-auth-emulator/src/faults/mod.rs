//! What goes wrong on purpose: faults, the requests they hit, and how both are written down.

mod fault;
pub(crate) mod fault_config;
pub(crate) mod plan;
pub(crate) mod rules;

pub use fault::Fault;
pub use rules::FaultRule;
