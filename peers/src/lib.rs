//! What tokens cost here, with other libraries, and at least. `run` says how to
//! use it; `README.md` what is measured, and how.

pub mod audiences;
pub mod bare;
pub mod contestant;
pub mod contestants;
pub mod field;
pub mod guarded;
pub mod load;
pub mod page;
pub mod process;
pub mod report;
pub mod sections;
pub mod server;
pub mod spread;
pub mod stub;
