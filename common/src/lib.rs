//! What Docket's services share: the service frame, HTTP manners, the typed event registry, the bus and the store.

pub mod backoff;
pub mod bus;
pub mod clock;
pub mod each;
pub mod events;
pub mod gather;
pub mod http;
pub mod id;
pub mod limits;
pub mod mail;
pub mod money;
pub mod open_enum;
pub mod service;
pub mod settings;
pub mod signing;
pub mod store;
pub mod supervisor;
pub mod telemetry;
pub mod text;
pub mod zone;

/// Of every process of Docket: what services do is allocate, and threads free what others allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
